"""Data sets of pictures with boxes: COCO layout and YOLO folders, read once into an index of arrays. No torch."""
