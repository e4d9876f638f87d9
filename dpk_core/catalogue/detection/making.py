"""From the files of a detection data set to its index: read, judged, classes matched by name, splits completed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dpk_core.catalogue.content import is_large
from dpk_core.catalogue.copies import HEAD
from dpk_core.catalogue.detection.coco import read_coco
from dpk_core.catalogue.detection.faults import Fault
from dpk_core.catalogue.detection.index import DetectionIndex, SplitIndex
from dpk_core.catalogue.detection.judging import judge
from dpk_core.catalogue.detection.layout import DetectionLayout
from dpk_core.catalogue.detection.parts import complete, cut_split, missing_splits
from dpk_core.catalogue.detection.picture_files import PictureFiles
from dpk_core.catalogue.detection.raw import Category, RawSplit
from dpk_core.catalogue.detection.sizes import check_sizes
from dpk_core.catalogue.detection.yolo import read_yolo
from dpk_core.errors import DataFault

ORDER = ("train", "validation", "test")


def make_index(layout: DetectionLayout) -> DetectionIndex:
    """Reads all annotation files. Raises DataFault where a file cannot be understood at all, OSError."""
    raws = _read(layout)
    for raw in raws:
        judge(raw, relative=bool(layout.yaml))
    categories = _classes(raws)
    originals = _copies(layout, raws)
    if not categories:
        raise DataFault(f"{layout.folder.name} has no class with a box.")
    on_disk = {raw.split: _arrays(raw) for raw in raws}
    splits = complete(layout.folder.name, on_disk, originals)
    return DetectionIndex(
        classes=tuple(each.name for each in categories), category_ids=tuple(each.id for each in categories),
        splits=splits, held_out=missing_splits(on_disk),
        faults=(*(fault for raw in raws for fault in _faults(raw)), *_cut_faults(splits, on_disk)),
    )  # fmt: skip


def _read(layout: DetectionLayout) -> tuple[RawSplit, ...]:
    if layout.yaml:
        return tuple(sorted(read_yolo(layout), key=lambda raw: ORDER.index(raw.split)))
    files = PictureFiles(file.name for file in layout.files)
    sampled = is_large(layout.files)
    raws = []
    for split in ORDER:
        if split in layout.coco:
            raw = read_coco(layout.folder, split, layout.coco[split], files)
            check_sizes(layout.folder, raw, sampled=sampled)
            raw.keep(raw.has_size_N[raw.pictures_M])
            raws.append(raw)
    return tuple(raws)


def _classes(raws: Sequence[RawSplit]) -> tuple[Category, ...]:
    """The classes that are trained: the training file's categories, without those that only group others.

    Numbers each split's annotations by them and counts how categories differ.
    """
    train = raws[0]
    names = {each.name for each in train.categories}
    with_boxes = {
        raw.categories[position].name for raw in raws for position in np.unique(raw.categories_M).tolist()
    }  # fmt: skip
    parents = {each.parent for raw in raws for each in raw.categories if each.parent != each.name}
    in_training = {train.categories[position].name for position in np.unique(train.categories_M).tolist()}
    chosen: dict[str, Category] = {}
    for each in train.categories:
        if each.name in parents and each.name not in with_boxes:
            train.faults.add("category_parent", example=each.name)
            continue
        if each.name not in in_training:
            train.faults.add("category_empty", example=each.name)
        chosen.setdefault(each.name, each)
    places = {name: place for place, name in enumerate(chosen)}
    ids = {each.name: each.id for each in train.categories}
    for raw in raws:
        own = {each.name for each in raw.categories}
        for name in sorted(own ^ names):
            if name in with_boxes or name not in parents:
                raw.faults.add("category_names_differ", example=name)
        for each in raw.categories:
            if each.name in ids and ids[each.name] != each.id:
                example = f"{each.name} is {each.id} here and {ids[each.name]} in training"
                raw.faults.add("category_ids_differ", example=example)
        numbers = np.array([places.get(each.name, -1) for each in raw.categories], np.int64)
        raw.categories_M = numbers[raw.categories_M] if len(numbers) else raw.categories_M
        raw.keep(raw.categories_M >= 0)
    return tuple(chosen.values())


def _copies(layout: DetectionLayout, raws: Sequence[RawSplit]) -> dict[str, str]:
    """Pictures whose file has the size and the first `HEAD` bytes of another, by name, and the name of that one. Those
    that are like one of an earlier split are counted. Within a split only those are looked for that could come apart.
    """
    sizes = {file.name: file.size for file in layout.files}
    by_size: dict[int, list[tuple[int, str]]] = {}
    for place, raw in enumerate(raws):
        for name in dict.fromkeys(raw.names):
            by_size.setdefault(sizes[name], []).append((place, name))
    originals: dict[str, str] = {}
    cut = cut_split([raw.split for raw in raws])
    for members in by_size.values():
        splits = [raws[place].split for place, _ in members]
        if len(set(splits)) < 2 and splits.count(cut) < 2:
            continue
        first: dict[bytes, tuple[int, str]] = {}
        for place, name in members:
            with (layout.folder / name).open("rb") as file:
                digest = hashlib.sha256(file.read(HEAD)).digest()
            earlier = first.setdefault(digest, (place, name))
            originals[name] = earlier[1]
            if earlier[0] < place:
                raws[place].faults.add("same_content", name, example=f"like {earlier[1]}")
    return originals


def _cut_faults(splits: Mapping[str, SplitIndex], on_disk: Mapping[str, SplitIndex]) -> Iterator[Fault]:
    """Splits that are not whole as on disk and came out without a box to be judged by."""
    for name, split in splits.items():
        if split is not on_disk.get(name) and split.crowd_M.all():
            yield Fault(
                kind="crowd_all" if len(split.crowd_M) else "no_boxes", split=name,
                count=len(split.crowd_M) or len(split), of=len(split.crowd_M) or len(split),
            )  # fmt: skip


def _arrays(raw: RawSplit) -> SplitIndex:
    order_M = np.argsort(raw.pictures_M, kind="stable")
    left_M, top_M, width_M, height_M = raw.boxes_M4[order_M].T
    areas_M = raw.areas_M[order_M]
    counts_N = np.bincount(raw.pictures_M, minlength=len(raw.names))
    every = SplitIndex(
        names_N=np.array([os.fsencode(name) for name in raw.names], np.bytes_),
        picture_ids_N=_text([json.dumps(each) for each in raw.picture_ids]),
        sizes_N2=raw.sizes_N2.astype(np.int32),
        first_N1=np.concatenate([[0], np.cumsum(counts_N)]).astype(np.int64),
        boxes_M4=np.column_stack([left_M, top_M, left_M + width_M, top_M + height_M]).astype(np.float32),
        classes_M=raw.categories_M[order_M].astype(np.int32),
        crowd_M=raw.crowd_M[order_M],
        areas_M=np.where(np.isnan(areas_M), width_M * height_M, areas_M),
        box_ids_M=_text([raw.ids[place] for place in order_M.tolist()]),
    )
    return every if raw.has_size_N.all() else every.chosen(np.flatnonzero(raw.has_size_N))


def _text(words: list[str]) -> NDArray[np.str_]:
    return np.array(words, np.str_) if words else np.zeros(0, "<U1")


def _faults(raw: RawSplit) -> tuple[Fault, ...]:
    totals = {"annotations": raw.annotations, "pictures": raw.listed, "categories": len(raw.categories)}
    return raw.faults.faults(totals)
