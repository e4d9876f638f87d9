"""One split of a COCO layout: its JSON as arrays, with everything that cannot be read counted as a fault."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dpk_core.catalogue.detection.faults import FaultLog
from dpk_core.catalogue.detection.layout import CocoSplit
from dpk_core.catalogue.detection.picture_files import PictureFiles
from dpk_core.catalogue.detection.raw import Annotations, Category, RawSplit
from dpk_core.errors import DataFault

Object = Mapping[str, Any]


def read_coco(folder: Path, split: str, source: CocoSplit, files: PictureFiles) -> RawSplit:
    """A split with the annotations whose boxes are four finite numbers of a listed picture and category.

    Raises DataFault where the file is no COCO file at all.
    """
    document = _document(folder, source.annotations)
    faults = FaultLog(split)
    categories = _categories(document["categories"], faults)
    names, picture_ids, sizes, by_id = _pictures(document["images"], source, files, faults)
    found = _annotations(document["annotations"], names, by_id, categories, faults)
    _check_types(document, faults)
    return found.split(
        faults, names, picture_ids, sizes, categories, listed=len(document["images"]),
        annotations=len(document["annotations"]),
    )  # fmt: skip


def _document(folder: Path, path: str) -> dict[str, list[Any]]:
    where = f"{folder.name}/{path}"
    try:
        with (folder / path).open("rb") as file:
            document: dict[str, list[Any]] = json.load(file)
    except (ValueError, RecursionError) as error:
        raise DataFault(f"{where} cannot be read as JSON: {error}.") from error
    for name in ("images", "annotations", "categories"):
        if not isinstance(document, dict) or not isinstance(document.get(name), list):
            raise DataFault(f"{where} has no list `{name}`; a COCO file has `images`, `annotations` and `categories`.")
    return document


def _categories(given: list[Any], faults: FaultLog) -> tuple[Category, ...]:
    found: dict[int, Category] = {}
    names: set[str] = set()
    for each in given:
        number = _whole(each.get("id")) if isinstance(each, dict) else None
        name = each.get("name") if isinstance(each, dict) else None
        if number is None or not isinstance(name, str) or not name.strip():
            faults.add("category_incomplete", example=str(each))
            continue
        if number in found:
            faults.add("category_id_duplicate", example=f"{number}: {found[number].name} and {name}")
            continue
        if name in names:
            faults.add("category_name_duplicate", example=name)
        parent = each.get("supercategory")
        found[number] = Category(id=number, name=name, parent=parent if isinstance(parent, str) else "")
        names.add(name)
    if 0 in found:
        faults.add("category_id_zero", example=found[0].name)
    if found and max(found) - min(found) >= len(found):
        missing = next(number for number in range(min(found), max(found)) if number not in found)
        faults.add("category_id_gaps", example=f"there is no {missing}", count=max(found) - min(found) + 1 - len(found))
    return tuple(found[number] for number in sorted(found))


def _pictures(
    given: list[Any], source: CocoSplit, files: PictureFiles, faults: FaultLog
) -> tuple[list[str], list[int | str], list[tuple[float, float]], dict[str, int]]:
    """Paths, ids, sizes (height, width) and the position of each id; -1 for a picture that is left out."""
    named = [each["file_name"] for each in given if isinstance(each, dict) and isinstance(each.get("file_name"), str)]
    folder = files.folder(source.folders, named)
    names: list[str] = []
    ids: list[int | str] = []
    sizes: list[tuple[float, float]] = []
    by_id: dict[str, int] = {}
    by_path: dict[str, str] = {}
    for each in given:
        key = _key(each.get("id")) if isinstance(each, dict) else None
        name = each.get("file_name") if isinstance(each, dict) else None
        if key is None or not isinstance(name, str) or not name:
            faults.add("picture_incomplete", example=str(each))
            continue
        if key in by_id:
            faults.add("picture_id_duplicate", name, example=f"id {key}")
            continue
        path, kind = files.find(folder, name)
        if kind:
            faults.add(kind, name, example=f"there is {path}" if path else "")
        if not path:
            by_id[key] = -1
            continue
        if path in by_path:
            faults.add("picture_twice", path, example=f"ids {by_path[path]} and {key}")
        by_path.setdefault(path, key)
        by_id[key] = len(names)
        names.append(path)
        ids.append(key if isinstance(each["id"], str) else int(key))
        sizes.append((_size(each.get("height")), _size(each.get("width"))))
    return names, ids, sizes, by_id


def _annotations(
    given: list[Any], names: list[str], by_id: dict[str, int], categories: tuple[Category, ...], faults: FaultLog
) -> Annotations:
    found = Annotations()
    positions = {category.id: position for position, category in enumerate(categories)}
    seen: set[str] = set()
    for each in given:
        if not isinstance(each, dict):
            faults.add("annotation_not_object", example=str(each))
            continue
        key = _key(each.get("id"))
        number = key or "without an id"
        picture_key = _key(each.get("image_id"))
        picture = by_id.get(picture_key) if picture_key is not None else None
        name = names[picture] if picture is not None and picture >= 0 else ""
        _check_id(key, seen, name, faults)
        if picture is None:
            faults.add("annotation_without_picture", "", number, f"image_id {each.get('image_id')!r}")
            continue
        if picture < 0:
            # Its picture is a fault already.
            continue
        category = positions.get(_whole(each.get("category_id")))  # type: ignore[arg-type]  # None is in no dict of ints
        if category is None:
            faults.add("category_unknown", name, number, f"category_id {each.get('category_id')!r}")
            continue
        box, kind = _box(each)
        if box is None:
            faults.add(kind, name, number, each.get("bbox", ""))
            continue
        found.add(
            id=key or "", picture=picture, box=box, category=category, crowd=_crowd(each, name, number, faults),
            area=_area(each, box, name, number, faults),
        )  # fmt: skip
    return found


def _check_types(document: Mapping[str, list[Any]], faults: FaultLog) -> None:
    are_text = {
        _key(each.get("id")): isinstance(each.get("id"), str) for each in document["images"] if _is_object(each)
    }
    for each in document["annotations"]:
        given = each.get("image_id") if _is_object(each) else None
        if isinstance(given, str) != are_text.get(_key(given), isinstance(given, str)):
            faults.add("ids_of_two_types", "", each.get("id", ""), f"image_id {given!r}")


def _is_object(each: object) -> bool:
    return isinstance(each, dict)


def _check_id(key: str | None, seen: set[str], name: str, faults: FaultLog) -> None:
    if key is None:
        faults.add("annotation_id_missing", name)
    elif key in seen:
        faults.add("annotation_id_duplicate", name, key)
    elif key == "0":
        faults.add("annotation_id_zero", name, key)
    if key is not None:
        seen.add(key)


def _box(each: Object) -> tuple[tuple[float, ...] | None, str]:
    """The four numbers, or the kind of fault."""
    box = each.get("bbox")
    if box is None or box == []:
        return None, "box_segmentation_only" if each.get("segmentation") else "box_missing"
    if not isinstance(box, list) or len(box) != 4:
        return None, "box_wrong_length"
    if not all(isinstance(number, int | float) and not isinstance(number, bool) for number in box):
        return None, "box_not_numbers"
    numbers = tuple(number for number in map(_finite, box) if number is not None)
    return (numbers, "") if len(numbers) == len(box) else (None, "box_not_finite")


def _crowd(each: Object, name: str, number: str, faults: FaultLog) -> bool:
    crowd = each.get("iscrowd")
    if crowd is None:
        faults.add("crowd_missing", name, number)
    elif crowd not in (0, 1):
        faults.add("crowd_wrong", name, number, repr(crowd))
    return bool(crowd == 1)


def _area(each: Object, box: tuple[float, ...], name: str, number: str, faults: FaultLog) -> float:
    """The object's area; NaN where the box's is to be taken."""
    area = each.get("area")
    if area is None:
        faults.add("area_missing", name, number)
        return math.nan
    found = _finite(area)
    if found is None or found <= 0 or (box[2] > 0 and box[3] > 0 and found > 1.05 * box[2] * box[3] + 1):
        faults.add("area_wrong", name, number, f"area {str(area)[:40]}, box {box[2]:g} x {box[3]:g} px")
    return math.nan if found is None else found


def _key(given: object) -> str | None:
    """A picture's or annotation's id as text; None where there is none."""
    if isinstance(given, str) and given.strip():
        return given.strip()
    number = _whole(given)
    return None if number is None else str(number)


def _whole(given: object) -> int | None:
    if (
        isinstance(given, bool)
        or not isinstance(given, int | float)
        or given != given
        or given in (math.inf, -math.inf)
    ):
        return None
    return int(given) if given == int(given) else None


def _size(given: object) -> float:
    number = _finite(_whole(given))
    return number if number is not None and number > 0 else 0.0


def _finite(given: object) -> float | None:
    """A number as a float; None for anything else, for one that is not finite, and for an integer beyond all floats."""
    if not isinstance(given, int | float):
        return None
    try:
        number = float(given)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
