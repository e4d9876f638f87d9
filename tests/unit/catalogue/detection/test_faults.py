"""Every kind of annotation fault is named with its picture and annotation, at its level."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dpk_core.catalogue.detection.canvas import canvas_faults
from dpk_core.catalogue.detection.faults import Fault
from dpk_core.catalogue.detection.findings import fault_findings
from dpk_core.catalogue.detection.kinds import KINDS
from dpk_core.catalogue.detection.store import detection_index
from dpk_core.detection_settings import Canvas
from tests.unit.catalogue.detection.detection_sets import (
    HEIGHT,
    WIDTH,
    Document,
    sound_documents,
    write_coco,
    write_picture,
    write_yolo,
)

Documents = dict[str, Document]


def faults(folder: Path) -> tuple[Fault, ...]:
    return detection_index(folder).index.faults


def one(found: tuple[Fault, ...], kind: str) -> Fault:
    (fault,) = (each for each in found if each.kind == kind)
    return fault


def level(found: tuple[Fault, ...], kind: str) -> str:
    return next(each.level for each in fault_findings(found) if each.code == kind)


@dataclass(frozen=True)
class Case:
    """`change`: what is done to the documents; `picture`, `annotation`: where the fault is said to be."""

    kind: str
    level: str
    change: Callable[[Documents], object]
    picture: str = "train/train0.png"
    annotation: str = "1"
    count: int = 1
    many: bool = False
    """Whether the set is so large that one annotation is a small part of it."""


def annotation(**fields: Any) -> Callable[[Documents], object]:
    """Changes the first training annotation; None removes a field."""

    def change(documents: Documents) -> None:
        first = documents["train"]["annotations"][0]
        first.update(fields)
        for name in [name for name, value in fields.items() if value is None and name != "bbox"]:
            del first[name]

    return change


def picture(**fields: Any) -> Callable[[Documents], object]:
    return lambda documents: documents["train"]["images"][0].update(fields)


def categories(split: str, *given: dict[str, Any]) -> Callable[[Documents], object]:
    return lambda documents: documents[split].update(categories=list(given))


def every(split: str, **fields: Any) -> Callable[[Documents], object]:
    return lambda documents: [each.update(fields) for each in documents[split]["annotations"]]


CAT, DOG = {"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}

CASES = [
    Case("annotation_id_zero", "warning", annotation(id=0), annotation="0"),
    Case("annotation_id_duplicate", "warning", annotation(id=2), annotation="2"),
    Case("annotation_id_missing", "warning", annotation(id=None), annotation=""),
    Case("annotation_not_object", "refusal", lambda d: d["train"]["annotations"].append(3), "", ""),  # type: ignore[arg-type]  # a fault: no dict
    Case("annotation_without_picture", "refusal", annotation(image_id=99), picture=""),
    Case("annotation_without_picture", "warning", annotation(image_id=99), picture="", many=True),
    Case("ids_of_two_types", "warning", annotation(image_id="1"), picture=""),
    Case("picture_id_duplicate", "refusal", picture(id=2), "train1.png", ""),
    Case("picture_incomplete", "refusal", picture(file_name=None), "", ""),
    Case("picture_twice", "refusal", picture(file_name="train1.png"), "train/train1.png", ""),
    Case("file_backslash", "warning", picture(file_name=".\\train0.png"), ".\\train0.png", ""),
    Case("size_differs", "refusal", picture(width=99), annotation=""),
    Case("size_missing", "info", picture(width=None), annotation=""),
    Case("size_missing", "info", picture(width=10**400), annotation=""),
    Case("box_missing", "refusal", annotation(bbox=None)),
    Case("box_segmentation_only", "refusal", annotation(bbox=[], segmentation=[[1, 1, 9, 1, 9, 9]])),
    Case("box_wrong_length", "refusal", annotation(bbox=[1, 2, 3])),
    Case("box_not_numbers", "refusal", annotation(bbox=[1, 2, "3", 4])),
    Case("box_not_numbers", "warning", annotation(bbox=[1, None, 3, 4]), many=True),
    Case("box_not_finite", "refusal", annotation(bbox=[1, math.nan, 3, 4])),
    Case("box_not_finite", "refusal", annotation(bbox=[1, 10**400, 3, 4])),
    Case("box_zero_size", "refusal", annotation(bbox=[1, 2, 0, 4])),
    Case("box_zero_size", "refusal", annotation(bbox=[30, 5, 1e-7, 10])),
    Case("box_outside", "refusal", annotation(bbox=[-0.5, 5, 0.500001, 10])),
    Case("box_negative_size", "refusal", annotation(bbox=[9, 2, -3, 4])),
    Case("box_outside", "refusal", annotation(bbox=[WIDTH, 2, 3, 4])),
    Case("box_outside", "warning", annotation(bbox=[WIDTH, 2, 3, 4]), many=True),
    Case("box_partly_outside", "warning", annotation(bbox=[WIDTH - 9, 2, 20, 9], area=99)),
    Case("box_partly_outside", "info", annotation(bbox=[WIDTH - 9, 2, 20, 9], area=99), many=True),
    Case("box_corners", "refusal", every("train", bbox=[40, 30, 60, 45]), count=4),
    Case("box_relative", "refusal", every("train", bbox=[0.1, 0.2, 0.5, 0.5]), count=4),
    Case("box_relative", "warning", annotation(bbox=[0.1, 0.2, 0.5, 0.5])),
    Case("box_duplicate", "warning", annotation(bbox=[5, 5, 20, 10], category_id=2), annotation="2"),
    Case("category_unknown", "refusal", annotation(category_id=7)),
    Case("category_incomplete", "refusal", categories("test", CAT, DOG, {"id": "x", "name": "y"}), "", ""),
    Case("category_id_duplicate", "refusal", categories("test", CAT, DOG, {"id": 1, "name": "x"}), "", ""),
    Case("category_name_duplicate", "refusal", categories("test", CAT, DOG, {"id": 3, "name": "cat"}), "", ""),
    Case("category_id_zero", "info", categories("test", CAT, DOG, {"id": 0, "name": "cow"}), "", ""),
    Case("category_id_gaps", "info", categories("test", CAT, DOG, {"id": 9, "name": "cow"}), "", "", count=6),
    Case("category_empty", "warning", categories("train", CAT, DOG, {"id": 3, "name": "cow"}), "", ""),
    Case("category_parent", "info", categories("train", CAT | {"supercategory": "pet"}, DOG, {"id": 3, "name": "pet"}),
         "", ""),
    Case("category_names_differ", "refusal", categories("val", CAT, {"id": 2, "name": "hound"}), "", "", count=2),
    Case("category_ids_differ", "warning", categories("val", DOG | {"id": 1}, CAT | {"id": 2}), "", "", count=2),
    Case("crowd_missing", "info", annotation(iscrowd=None)),
    Case("crowd_wrong", "warning", annotation(iscrowd=7)),
    Case("crowd_all", "refusal", every("train", iscrowd=1), count=4),
    Case("area_missing", "info", annotation(area=None)),
    Case("area_wrong", "warning", annotation(area=-1)),
    Case("area_wrong", "warning", annotation(area=1000)),
    Case("area_wrong", "warning", annotation(area=10**400)),
    Case("no_boxes", "refusal", lambda d: d["val"].update(annotations=[]), "", "", count=2),
    Case("picture_without_boxes", "info", lambda d: d["train"]["annotations"].__delitem__(slice(2)), annotation=""),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[f"{case.kind}-{case.level}" for case in CASES])
def test_faults_of_coco(tmp_path: Path, case: Case) -> None:
    documents = sound_documents(pictures=2, boxes=101) if case.many else sound_documents()
    if case.many:
        for document in documents.values():
            for number, each in enumerate(document["annotations"]):
                each["bbox"] = [number % 40, number % 30, 20, 10]
    case.change(documents)
    found = faults(write_coco(tmp_path / "set", documents))
    fault = one(found, case.kind)
    assert (fault.picture, fault.annotation, fault.count) == (case.picture, case.annotation, case.count)
    assert level(found, case.kind) == case.level
    assert fault.count <= fault.of or case.kind == "category_id_gaps"


def test_sound_data_has_none(tmp_path: Path) -> None:
    assert faults(write_coco(tmp_path / "set", sound_documents())) == ()


class TestFiles:
    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        folder = write_coco(tmp_path / "set", sound_documents())
        (folder / "train" / "train0.png").unlink()
        found = faults(folder)
        assert one(found, "file_missing").picture == "train0.png"
        assert level(found, "file_missing") == "refusal"
        assert len(detection_index(folder).index.splits["train"]) == 1

    def test_another_case(self, tmp_path: Path) -> None:
        folder = write_coco(tmp_path / "set", sound_documents())
        (folder / "train" / "train0.png").rename(folder / "train" / "TRAIN0.PNG")
        assert one(faults(folder), "file_case").example == "there is train/TRAIN0.PNG"
        assert detection_index(folder).index.splits["train"].name(0) == "train/TRAIN0.PNG"

    def test_another_folder(self, tmp_path: Path) -> None:
        folder = write_coco(tmp_path / "set", sound_documents())
        (folder / "train" / "inner").mkdir()
        (folder / "train" / "train0.png").rename(folder / "train" / "inner" / "train0.png")
        assert one(faults(folder), "file_elsewhere").example == "there is train/inner/train0.png"

    def test_no_picture(self, tmp_path: Path) -> None:
        folder = write_coco(tmp_path / "set", sound_documents())
        (folder / "val" / "val1.png").write_bytes(b"no picture")
        found = faults(folder)
        assert (one(found, "undecodable").picture, level(found, "undecodable")) == ("val/val1.png", "refusal")

    def test_a_picture_turned_by_exif(self, tmp_path: Path) -> None:
        folder = write_coco(tmp_path / "set", sound_documents())
        mark = Image.Exif()
        mark[0x0112] = 6
        write_picture(folder / "train" / "train0.png", 77, exif=mark)
        found = faults(folder)
        assert one(found, "size_turned").picture == "train/train0.png"
        # The size of the picture once it is upright is no fault.
        documents = sound_documents()
        documents["train"]["images"][0].update(width=HEIGHT, height=WIDTH)
        assert faults(write_coco(folder, documents)) == ()

    @pytest.mark.parametrize(("copied", "expected"), [(1, "warning"), (2, "refusal")])
    def test_the_same_content_in_two_splits(self, tmp_path: Path, copied: int, expected: str) -> None:
        folder = write_coco(tmp_path / "set", sound_documents(pictures=2))
        for number in range(copied):
            write_picture(folder / "val" / f"val{number}.png", number)
        found = faults(folder)
        fault = one(found, "same_content")
        assert (fault.split, fault.picture, fault.example) == ("validation", "val/val0.png", "like train/train0.png")
        assert level(found, "same_content") == expected


YOLO_LINES = [
    ("box_wrong_length", "0 0.5 0.5 0.2"),
    ("box_not_numbers", "0 0.5 half 0.2 0.2"),
    ("box_not_finite", "0 0.5 nan 0.2 0.2"),
    ("box_pixels", "0 30 20 10 10"),
    ("category_unknown", "2 0.5 0.5 0.2 0.2"),
    ("category_unknown", "0.5 0.5 0.5 0.2 0.2"),
    ("box_segmentation_only", "0 0.1 0.1 0.9 0.1 0.9 0.9"),
    ("box_zero_size", "0 0.5 0.5 0 0.2"),
    ("box_outside", "0 -0.5 0.5 0.2 0.2"),
]


@pytest.mark.parametrize(("kind", "line"), YOLO_LINES)
def test_faults_of_yolo(tmp_path: Path, kind: str, line: str) -> None:
    found = faults(write_yolo(tmp_path / "set", f"0 0.5 0.5 0.2 0.2\n1 0.5 0.5 0.2 0.2\n{line}\n"))
    fault = one(found, kind)
    assert (fault.picture, fault.annotation) == ("images/train/train0.png", "labels/train/train0.txt:3")
    assert (fault.count, fault.of, level(found, kind)) == (1, 5, "refusal")


def test_corners_in_yolo(tmp_path: Path) -> None:
    fault = one(faults(write_yolo(tmp_path / "set", "0 0.1 0.1 0.9 0.8\n1 0.5 0.4 0.9 0.6\n" * 40)), "box_corners")
    assert (fault.split, fault.count) == ("train", 40)


def test_a_label_file_without_a_picture(tmp_path: Path) -> None:
    folder = write_yolo(tmp_path / "set")
    (folder / "labels" / "train" / "gone.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    assert one(faults(folder), "label_without_picture").picture == "labels/train/gone.txt"


def test_more_boxes_than_are_read(tmp_path: Path) -> None:
    documents = sound_documents(boxes=101)
    for number, each in enumerate(documents["train"]["annotations"]):
        each["bbox"] = [number % 40, number % 30, 20, 10]
    rest = {split: sound_documents()[split] for split in ("val", "test")}
    fault = one(faults(write_coco(tmp_path / "set", documents | rest)), "boxes_beyond_100")
    assert (fault.count, fault.example) == (2, "101 boxes at most")


def test_boxes_too_small_for_the_canvas(tmp_path: Path) -> None:
    index = detection_index(write_coco(tmp_path / "set", sound_documents())).index
    assert canvas_faults(index, Canvas(height=HEIGHT, width=WIDTH), 3) == ()
    fault = canvas_faults(index, Canvas(height=HEIGHT // 4, width=WIDTH // 4), 3)[0]
    assert canvas_faults(index, Canvas(height=HEIGHT // 4, width=WIDTH // 4), 2) == ()
    assert (fault.kind, fault.count, fault.of, fault.example) == ("boxes_too_small", 4, 4, "3.5 px on 12 x 16")
    assert level((fault,), "boxes_too_small") == "refusal"


def test_what_a_finding_says() -> None:
    fault = Fault(
        kind="annotation_id_zero", split="train", count=1, of=4, picture="a.png", annotation="0", example="",
    )  # fmt: skip
    assert [each.message for each in fault_findings([fault])] == [
        "Train: the id is 0 in 1 of 4 annotations, e.g. annotation 0, picture a.png. pycocotools counts a hit on such "
        "a box as a miss; number annotations from 1."
    ]


def test_the_worst_comes_first_and_copies_go_with_the_verdict(tmp_path: Path) -> None:
    documents = sound_documents()
    annotation(id=0, category_id=7)(documents)
    folder = write_coco(tmp_path / "set", documents)
    write_picture(folder / "val" / "val0.png", 0)
    found = fault_findings(faults(folder))
    assert [(each.level, each.caution) for each in found] == [("refusal", False), ("warning", False), ("warning", True)]


def test_every_kind_has_a_test() -> None:
    tested = {case.kind for case in CASES} | {kind for kind, _ in YOLO_LINES}
    tested |= {
        "file_missing", "file_case", "file_elsewhere", "undecodable", "size_turned", "same_content", "boxes_beyond_100",
        "boxes_too_small", "label_without_picture",
    }  # fmt: skip
    assert tested == set(KINDS)
