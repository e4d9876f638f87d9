"""Kinds of annotation faults: what each is in words, from where on it is a warning or a refusal, and what to do."""

from __future__ import annotations

from dataclasses import dataclass

SOME = 0.01
"""Part of a split's annotations or pictures up to which a fault that leaves them out is a warning."""

MOST = 0.5
"""Part beyond which a fault that only makes scores worse is a refusal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """`unit`: what is counted. Beyond the part `warning` of all it is a warning, beyond `refusal` a refusal; at less,
    or where there is no limit, it is only reported. `caution`: a verdict repeats it when it is a warning.
    """

    text: str
    advice: str
    unit: str = "annotations"
    warning: float | None = None
    refusal: float | None = None
    caution: bool = False


def _reported(text: str, advice: str, unit: str = "annotations", warning: float | None = None) -> Kind:
    """Never a refusal."""
    return Kind(text=text, advice=advice, unit=unit, warning=warning)


def _left_out(text: str, advice: str, unit: str = "annotations") -> Kind:
    """Left out: a warning from one on, a refusal beyond `SOME`."""
    return Kind(text=text, advice=f"Left out. {advice}", unit=unit, warning=0, refusal=SOME)


def _refused(text: str, advice: str, unit: str = "annotations") -> Kind:
    return Kind(text=text, advice=advice, unit=unit, refusal=0)


KINDS: dict[str, Kind] = {
    # Numbers of annotations and pictures
    "annotation_id_zero": _reported(
        "the id is 0", "pycocotools counts a hit on such a box as a miss; number annotations from 1.", warning=0
    ),
    "annotation_id_duplicate": _reported(
        "the id is used before", "Other tools drop one of the two; number annotations once.", warning=0
    ),
    "annotation_id_missing": _reported("there is no id", "Number annotations from 1.", warning=0),
    "picture_id_duplicate": _refused(
        "the id is that of another picture", "Whose boxes are whose cannot be known; number pictures once.", "pictures"
    ),
    "picture_twice": Kind(
        text="the file is listed under two ids",
        unit="pictures",
        warning=0,
        refusal=SOME,
        advice="Each holds a part of the boxes, so right detections count as wrong; merge them.",
    ),
    "ids_of_two_types": _reported(
        "the id is text where others are numbers", "Read as the number it spells.", warning=0
    ),
    "annotation_without_picture": _left_out("the picture is not listed", "Remove them or add their pictures."),
    "picture_incomplete": _left_out("there is no id or no file name", "Add them or remove the entry.", "pictures"),
    "annotation_not_object": _left_out("the annotation is no JSON object", "Remove or mend them."),
    # Files
    "file_missing": _left_out("the file is not there", "Add the files or remove their entries.", "pictures"),
    "file_case": _reported("the file is spelled in another case", "Rename it: other systems miss it.", "pictures", 0),
    "file_backslash": _reported("the file name has backslashes", "Read as folders; write / instead.", "pictures", 0),
    "file_elsewhere": _reported(
        "the file lies in another folder than named", "The only file of this name is read.", "pictures", 0
    ),
    "undecodable": _refused("the file cannot be read as a picture", "Mend or remove it.", "pictures"),
    "size_turned": _reported(
        "the size is that before turning the picture upright (EXIF)",
        "It is read unturned, as its boxes are.",
        "pictures",
        0,
    ),
    "size_differs": Kind(
        text="the size is unlike the file's",
        unit="pictures",
        refusal=0,
        advice="The boxes belong to another version of the picture; mend sizes and boxes, or the file.",
    ),
    "size_missing": _reported("there is no size", "It is read from the file.", "pictures"),
    "same_content": Kind(
        text="the content is that of a picture in an earlier split",
        unit="pictures",
        warning=SOME,
        refusal=MOST,
        caution=True,
        advice="Scores on it are too high; remove it from one of them.",
    ),
    # Boxes
    "box_missing": _left_out("there is no box", "Add them."),
    "box_segmentation_only": _left_out("there is a segmentation and no box", "Add boxes: the extent of each outline."),
    "box_wrong_length": _left_out("the box is not four numbers", "Write x, y, width, height."),
    "box_not_numbers": _left_out("the box holds something that is no number", "Write four numbers."),
    "box_not_finite": _left_out("the box holds NaN or infinity", "Mend or remove them."),
    "box_zero_size": _left_out("the box has no width or no height", "Mend or remove them."),
    "box_negative_size": _left_out("the box has a negative width or height", "Write the smaller corner first."),
    "box_outside": _left_out("the box lies wholly outside its picture", "It would be trained on without a picture."),
    "box_partly_outside": _reported(
        "the box reaches beyond its picture by more than a pixel", "Cut to the picture in training.", warning=SOME
    ),
    "box_corners": _refused(
        "the boxes are two corners, not a place and a size",
        "COCO's boxes are x, y, width, height, YOLO's are middle, width and height; convert them.",
    ),
    "box_relative": Kind(
        text="the box is given in parts of the picture",
        warning=0,
        refusal=MOST,
        advice="COCO's boxes are in pixels; multiply them by width and height.",
    ),
    "box_pixels": _left_out("the numbers are beyond 1, as pixels are", "YOLO's are parts of width and height."),
    "box_duplicate": _reported(
        "the box is there before, with the same class", "Keep one: the second can never be found.", warning=SOME
    ),
    "boxes_beyond_100": _reported(
        "there are more than 100 boxes",
        "AP reads 100 detections of a class in a picture, so they cannot all be found.",
        "pictures",
        0,
    ),
    "boxes_too_small": Kind(
        text="the box is smaller than half a cell of the finest level on this canvas",
        warning=SOME,
        refusal=MOST,
        advice="A larger canvas, or smaller anchors and a finer level, can find them.",
    ),
    # Classes
    "category_unknown": _left_out("the category is not listed", "Add it to the categories or names."),
    "category_incomplete": _refused("there is no whole number as id, or no name", "Add them.", "categories"),
    "category_id_duplicate": _refused("the id is used before", "Number categories once.", "categories"),
    "category_name_duplicate": _refused("the name is used before", "Merge or rename them.", "categories"),
    "category_id_zero": _reported(
        "the id is 0", "Numbered anew here; torchvision's detectors would take it for background.", "categories"
    ),
    "category_id_gaps": _reported("the ids have gaps", "Numbered anew here.", "categories"),
    "category_empty": _reported("there is no box", "It cannot be learned; remove it or add boxes.", "categories", 0),
    "category_parent": _reported("it only groups others and has no box", "Left out of the classes.", "categories"),
    "category_names_differ": _refused(
        "the name is not in both splits", "List the same categories in all files.", "categories"
    ),
    "category_ids_differ": _reported("the id is another one in training", "Matched by name.", "categories", 0),
    # iscrowd and area
    "crowd_missing": _reported("there is no `iscrowd`", "Taken for 0; pycocotools stops without it."),
    "crowd_wrong": _reported("`iscrowd` is neither 0 nor 1", "Taken for 0.", warning=0),
    "crowd_all": _refused("`iscrowd` is 1 on every box", "Such boxes are never found or missed; write 0."),
    "area_missing": _reported("there is no `area`", "The box's is taken; pycocotools stops without it."),
    "area_wrong": _reported(
        "`area` is no positive number, or larger than the box",
        "AP by size goes by it, by the box where it is below 0; write the object's.",
        warning=0,
    ),
    # Whole splits
    "no_boxes": _refused("there is no box that can be used", "Add some or remove the split.", "pictures"),
    "picture_without_boxes": _reported("there is no box", "Trained on as background.", "pictures"),
    "label_without_picture": _reported("the label file has no picture", "Left out.", "pictures", 0),
}
