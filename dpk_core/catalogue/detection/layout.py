"""Where annotations and pictures of a detection data set lie in its folder.

| layout | files |
|---|---|
| COCO | `annotations/instances_train2017.json` or `instances_train.json`; pictures in `train2017/`, `images/`, … |
| Roboflow's COCO | `train/_annotations.coco.json` beside its pictures, `valid/…`, `test/…` |
| YOLO | `data.yaml` with `names`, `train`, `val`, perhaps `test`; `labels/…/a.txt` for `images/…/a.jpg` |

Splits are recognised by whole words of names, see `split_names`. Files of other tasks (`captions_…`,
`person_keypoints_…`) are passed over. `train.json` and `annotations.json` may belong to a data set of classes: beside
class folders they count only where they mention a box.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dpk_core.catalogue.content import DataFile, data_file, file_state, remembered, state_key
from dpk_core.catalogue.folders import folder_kind
from dpk_core.catalogue.formats import ENDINGS, ending
from dpk_core.catalogue.layouts import ARCHIVE_CLUTTER
from dpk_core.catalogue.split_names import split_words
from dpk_core.errors import DataFault

YAML_NAMES = ("data.yaml", "data.yml", "dataset.yaml")

DEEPEST = 6
"""Folders in folders that are listed."""

BOX_KEY = b'"bbox"'
_PART = 2**20
_READ = ENDINGS | {".json", ".yaml", ".yml", ".txt"}
_PLAIN_WORDS = frozenset({"instances", "annotations", "coco"})
_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class CocoSplit:
    """`annotations`: path of the JSON from the data set's folder. `folders`: where its pictures may lie, with a `/`
    at the end, the likeliest first; the empty name is the data set's own folder."""

    annotations: str
    folders: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionLayout:
    """`files`: every picture, annotation and label file by its path from `folder`, sorted.

    `folders`: those that were listed, likewise. `coco`: the splits of a COCO layout, by name; empty where `yaml` names
    the file of YOLO folders.
    """

    folder: Path
    folders: tuple[str, ...]
    files: tuple[DataFile, ...]
    coco: dict[str, CocoSplit]
    yaml: str = ""

    @property
    def annotation_bytes(self) -> int:
        """Size of all files that are no pictures."""
        return sum(file.size for file in self.files if ending(file.name) not in ENDINGS)


def is_detection_data(folder: Path) -> bool:
    """Whether the folder holds annotation files of boxes, by the names in it and in the folders directly in it. Raises
    OSError."""
    names = {name: _names(folder / name) for name in _folders(folder)}
    at_top = _names(folder)
    if any(name in at_top for name in YAML_NAMES):
        return True
    paths = [*at_top, *(f"{folder_name}/{name}" for folder_name, inside in names.items() for name in inside)]
    found = [path for path in paths if _coco_split(path)]
    if any("instances" in path or "coco" in path for path in found) or not found or folder_kind(folder) is None:
        return bool(found)
    files = [file_state(folder, path) for path in found]
    answer = remembered("boxes_mentioned", state_key(folder, files), lambda: {"boxes": _mention_boxes(folder, files)})
    return bool(answer["boxes"])


def _mention_boxes(folder: Path, files: Iterable[DataFile]) -> bool:
    return any(_mentions_boxes(folder / file.name) for file in files)


def _mentions_boxes(path: Path) -> bool:
    """Whether a JSON file has the key `bbox` anywhere."""
    rest = b""
    with path.open("rb") as file:
        while part := file.read(_PART):
            if BOX_KEY in rest + part:
                return True
            rest = part[-len(BOX_KEY) :]
    return False


def detection_layout(folder: Path) -> DetectionLayout:
    """Lists the folder. Raises DataFault saying what is missing or is there twice, and OSError."""
    folders: list[str] = []
    files = tuple(sorted(_list(folder, "", DEEPEST, folders), key=lambda file: file.name))
    by_path = {path: split for path in (file.name for file in files) if (split := _coco_split(path))}
    if by_path:
        coco: dict[str, CocoSplit] = {}
        for path, split in by_path.items():
            if split in coco:
                raise DataFault(
                    f"{folder.name} has {coco[split].annotations} and {path}, which both mean {split}; keep one."
                )
            coco[split] = CocoSplit(annotations=path, folders=_picture_folders(path))
        if "train" not in coco:
            raise DataFault(
                f"{folder.name} has no annotations of training pictures, only {next(iter(by_path))}; name them "
                "instances_train.json."
            )
        return DetectionLayout(folder=folder, folders=tuple(folders), files=files, coco=coco)
    yaml = next((file.name for file in files if file.name in YAML_NAMES), "")
    if not yaml:
        raise DataFault(
            f"{folder.name} holds no annotations of boxes: neither annotations/instances_train.json nor "
            "train/_annotations.coco.json nor data.yaml."
        )
    return DetectionLayout(folder=folder, folders=tuple(folders), files=files, coco={}, yaml=yaml)


def _coco_split(path: str) -> str:
    """The split that a path's annotations are of; empty where it is no COCO file of boxes."""
    folder, _, name = path.rpartition("/")
    if ending(name) != ".json" or folder.count("/") > 1:
        return ""
    stem = name.removesuffix(".json")
    words = split_words(stem)
    if set(_WORD.findall(stem.lower())) - set(words) - _PLAIN_WORDS:
        return ""
    if not words and folder:
        words = split_words(folder.rpartition("/")[2])
    return next(iter(words.values())) if len(set(words.values())) == 1 else ""


def _picture_folders(path: str) -> tuple[str, ...]:
    folder, _, name = path.rpartition("/")
    stem = name.removesuffix(".json").removeprefix("instances_").removeprefix("annotations_")
    own = f"{folder}/" if folder else ""
    bases = dict.fromkeys(("", *_parents(folder)))
    inside = [
        f"{base}{inner}"
        for base in bases
        for called in (stem, *split_words(stem))
        for inner in (f"{called}/", f"images/{called}/")
    ]
    return tuple(dict.fromkeys((*inside, *(f"{base}images/" for base in bases), own, *bases)))


def _parents(folder: str) -> list[str]:
    """The folders above `folder`, with a `/` at the end."""
    parts = folder.split("/")[:-1]
    return ["/".join(parts[: end + 1]) + "/" for end in range(len(parts))]


def _list(folder: Path, inside: str, depth: int, folders: list[str]) -> list[DataFile]:
    """The files that are read; notes the folders that were looked into."""
    folders.append(inside)
    found: list[DataFile] = []
    with os.scandir(folder / inside) as entries:
        for entry in entries:
            if entry.name[0] == "." or entry.name == ARCHIVE_CLUTTER:
                continue
            if entry.is_dir():
                if depth:
                    found += _list(folder, f"{inside}{entry.name}/", depth - 1, folders)
            elif ending(entry.name) in _READ and entry.is_file():
                found.append(data_file(entry, inside))
    return found


def _folders(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries if entry.is_dir() and entry.name[0] != "."]


def _names(folder: Path) -> set[str]:
    """Names of the annotation files in a folder; none where it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if ending(entry.name) in (".json", ".yaml", ".yml")}
    except OSError:
        return set()
