"""Small detection data sets written to disk: COCO layout and YOLO folders."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 64, 48
SPLITS = ("train", "val", "test")
CATEGORIES = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]

Document = dict[str, list[dict[str, Any]]]


def write_picture(path: Path, seed: int, size: tuple[int, int] = (WIDTH, HEIGHT), **options: Any) -> None:
    """Noise, so that no two pictures are the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels).save(path, **options)


def sound_documents(pictures: int = 2, boxes: int = 2) -> dict[str, Document]:
    """COCO documents of three splits, by the names of their folders."""
    made: dict[str, Document] = {}
    for place, split in enumerate(SPLITS):
        images = [
            {"id": n + 1, "file_name": f"{split}{n}.png", "width": WIDTH, "height": HEIGHT} for n in range(pictures)
        ]
        annotations = [
            {
                "id": number + 1, "image_id": number // boxes + 1, "category_id": 1 + number % 2, "iscrowd": 0,
                "bbox": [4.0 + number % boxes, 5.0 + place, 20.0, 10.0], "area": 150.0,
            }
            for number in range(pictures * boxes)
        ]  # fmt: skip
        made[split] = {"images": images, "annotations": annotations, "categories": copy.deepcopy(CATEGORIES)}
    return made


def write_coco(folder: Path, documents: dict[str, Document]) -> Path:
    """Annotations and, where none lies there yet, a picture of each entry with a file name."""
    for place, (split, document) in enumerate(documents.items()):
        for number, image in enumerate(document["images"]):
            path = folder / split / str(image.get("file_name") or "unnamed.png").replace("\\", "/")
            if not path.exists():
                write_picture(path, 1000 * place + number)
        (folder / "annotations").mkdir(parents=True, exist_ok=True)
        (folder / "annotations" / f"instances_{split}.json").write_text(json.dumps(document))
    return folder


def write_yolo(folder: Path, lines: str = "0 0.5 0.5 0.25 0.5\n1 0.25 0.25 0.1 0.1\n") -> Path:
    """YOLO folders of three splits with two pictures each; `lines`: of the first training picture."""
    for place, split in enumerate(SPLITS):
        for number in range(2):
            write_picture(folder / "images" / split / f"{split}{number}.png", 1000 * place + number)
            label = folder / "labels" / split / f"{split}{number}.txt"
            label.parent.mkdir(parents=True, exist_ok=True)
            first = (place, number) == (0, 0)
            label.write_text(lines if first else "0 0.5 0.5 0.25 0.5\n1 0.25 0.25 0.1 0.1\n")
    paths = "".join(f"{split}: images/{split}\n" for split in SPLITS)
    (folder / "data.yaml").write_text(f"{paths}names: [cat, dog]\n")
    return folder
