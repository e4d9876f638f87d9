"""YOLO folders: `data.yaml` names classes and picture folders; a text file of each picture holds its boxes.

A line is `class centre-x centre-y width height`, in parts of the picture once it is turned upright. Outlines of
segmentation (more numbers) are not read.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import yaml

from dpk_core.catalogue.detection.faults import FaultLog
from dpk_core.catalogue.detection.layout import DetectionLayout
from dpk_core.catalogue.detection.raw import Annotations, Category, RawSplit
from dpk_core.catalogue.detection.sizes import upright_and_stored
from dpk_core.catalogue.formats import ENDINGS, ending
from dpk_core.display import listed, shown
from dpk_core.errors import DataFault

SPLITS = {"train": "train", "val": "validation", "valid": "validation", "test": "test"}

LARGEST = 2**20
"""Bytes of a `data.yaml`."""

ROUNDING = 1e-3
"""How far a part of the picture may lie beyond 0 … 1."""


def read_yolo(layout: DetectionLayout) -> tuple[RawSplit, ...]:
    """Every split that `data.yaml` names. Raises DataFault where it cannot be understood."""
    document = _document(layout)
    categories = _categories(layout, document)
    paths = {file.name for file in layout.files}
    found: dict[str, RawSplit] = {}
    for word, split in SPLITS.items():
        if document.get(word) in (None, ""):
            continue
        if split in found:
            raise DataFault(f"{layout.folder.name}/{layout.yaml} has two entries for {split}; keep one.")
        pictures = _pictures(layout, document, word)
        found[split] = _read(layout.folder, split, pictures, paths, categories)
    if "train" not in found:
        raise DataFault(f"{layout.folder.name}/{layout.yaml} names no `train` folder.")
    _count_loose_labels([name for raw in found.values() for name in raw.names], paths, found["train"].faults)
    return tuple(found.values())


def _document(layout: DetectionLayout) -> Mapping[str, Any]:
    path = layout.folder / layout.yaml
    where = f"{layout.folder.name}/{layout.yaml}"
    try:
        if path.stat().st_size > LARGEST:
            raise DataFault(f"{where} is larger than {LARGEST} bytes; it names classes and folders and no more.")
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise DataFault(f"{where} cannot be read as YAML.") from error
    if not isinstance(document, dict):
        raise DataFault(f"{where} has no `names` and `train`.")
    return document


def _categories(layout: DetectionLayout, document: Mapping[str, Any]) -> tuple[Category, ...]:
    where, names = f"{layout.folder.name}/{layout.yaml}", document.get("names")
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names or any(type(number) is not int or number < 0 for number in names):
        raise DataFault(f"{where} has no `names` of classes, as a list or by number.")
    # Aliases of aliases are few bytes of YAML and endless as text.
    if any(isinstance(name, list | dict | tuple | set) for name in names.values()):
        raise DataFault(f"{where}: one of `names` is no name.")
    found = tuple(Category(id=number, name=str(names[number])) for number in sorted(names))
    twice = [name for name, count in Counter(each.name for each in found).items() if count > 1]
    if twice:
        raise DataFault(f"{where}: `names` has {listed(twice)} more than once.")
    return found


def _pictures(layout: DetectionLayout, document: Mapping[str, Any], word: str) -> list[str]:
    """Paths of a split's pictures: of all in its folders, or those that its text file lists."""
    where = f"{layout.folder.name}/{layout.yaml}: {word}"
    given = document[word] if isinstance(document[word], list) else [document[word]]
    if not all(isinstance(entry, str) for entry in given):
        raise DataFault(f"{where} is no path.")
    every = [file.name for file in layout.files if ending(file.name) in ENDINGS]
    found: list[str] = []
    for entry in dict.fromkeys(given):
        inside = _inside(layout, entry)
        if ending(entry) == ".txt" and any(file.name == inside for file in layout.files):
            known = set(every)
            lines = (layout.folder / inside).read_text(encoding="utf-8", errors="surrogateescape").split("\n")
            named = [_relative(line.strip()) for line in lines if line.strip()]
            if missing := [path for path in named if path not in known]:
                raise DataFault(f"{where}: {inside} lists {missing[0]}, which is not there.")
            found += named
        else:
            found += [path for path in every if path.startswith(f"{inside}/") or not inside]
    if not found:
        raise DataFault(f"{where} is {listed(given) or 'empty'}, where no pictures lie.")
    return sorted(set(found))


def _inside(layout: DetectionLayout, entry: str) -> str:
    """A path of `data.yaml` as one in the data set's folder: `../train/images`, as Roboflow writes it, too."""
    path = _relative(entry)
    folder_names = {str(parent) for file in layout.files for parent in PurePosixPath(file.name).parents}
    if path in folder_names or path == "" or any(file.name == path for file in layout.files):
        return "" if path == "." else path
    raise DataFault(f"{layout.folder.name}/{layout.yaml} names {entry}, which is not in {layout.folder.name}.")


def _relative(path: str) -> str:
    parts = [part for part in path.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    return "/".join(parts)


def _read(folder: Path, split: str, pictures: list[str], paths: set[str], categories: tuple[Category, ...]) -> RawSplit:
    faults = FaultLog(split)
    found = Annotations()
    lines = 0
    positions = {category.id: position for position, category in enumerate(categories)}
    for picture, name in enumerate(pictures):
        label = _label_path(name)
        if label not in paths:
            continue
        text = (folder / label).read_text(encoding="utf-8", errors="replace")
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip():
                lines += 1
                _read_line(line, f"{label}:{number}", picture, name, positions, found, faults)
    raw = found.split(
        faults, pictures, list(pictures), [(0.0, 0.0)] * len(pictures), categories, listed=len(pictures),
        annotations=lines,
    )  # fmt: skip
    raw.sizes_N2, _ = upright_and_stored(folder, raw, range(len(pictures)))
    raw.keep(raw.has_size_N[raw.pictures_M])
    heights_M, widths_M = raw.sizes_N2[raw.pictures_M].T
    centre_x_M, centre_y_M, width_M, height_M = raw.boxes_M4.T
    left_M, top_M = centre_x_M - width_M / 2, centre_y_M - height_M / 2
    raw.boxes_M4 = np.column_stack([left_M * widths_M, top_M * heights_M, width_M * widths_M, height_M * heights_M])
    return raw


def _read_line(
    line: str, place: str, picture: int, name: str, positions: Mapping[int, int], found: Annotations, faults: FaultLog
) -> None:
    words = line.split()
    if len(words) != 5:
        segments = len(words) > 6 and len(words) % 2 == 1
        faults.add("box_segmentation_only" if segments else "box_wrong_length", name, place, line)
        return
    try:
        numbers = tuple(float(word) for word in words)
    except ValueError:
        faults.add("box_not_numbers", name, place, line)
        return
    if not all(map(math.isfinite, numbers)):
        faults.add("box_not_finite", name, place, line)
        return
    category = positions.get(int(numbers[0])) if numbers[0] == int(numbers[0]) else None
    if category is None:
        faults.add("category_unknown", name, place, f"class {shown(words[0])} of {len(positions)}")
    elif max(numbers[1:]) > 1 + ROUNDING:
        faults.add("box_pixels", name, place, line)
    else:
        found.add(id=place, picture=picture, box=numbers[1:], category=category)


def _label_path(picture: str) -> str:
    """`labels/train/a.txt` of `images/train/a.jpg`: the last `images` folder is replaced."""
    folder, _, name = picture.rpartition("/")
    parts = folder.split("/")
    places = [place for place, part in enumerate(parts) if part == "images"]
    if places:
        parts[places[-1]] = "labels"
    return "/".join([*(part for part in parts if part), f"{name[: name.rfind('.')]}.txt"])


def _count_loose_labels(pictures: list[str], paths: set[str], faults: FaultLog) -> None:
    labels = {_label_path(name) for name in pictures}
    folders = {label.rpartition("/")[0] for label in labels if "labels" in label.split("/")}
    loose = sorted(path for path in paths - labels if ending(path) == ".txt" and path.rpartition("/")[0] in folders)
    loose = [path for path in loose if path.rpartition("/")[2] != "classes.txt"]
    if loose:
        faults.add("label_without_picture", loose[0], count=len(loose))
