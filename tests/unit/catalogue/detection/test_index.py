"""The index of detection data: layouts, arrays, splits, and how it is kept."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from dpk_core.catalogue.datasets import dataset_names
from dpk_core.catalogue.detection import store
from dpk_core.catalogue.detection.index import from_bytes, to_bytes
from dpk_core.catalogue.detection.layout import is_detection_data
from dpk_core.catalogue.detection.store import detection_index, recalled_index
from dpk_core.detection.detections import Detections, coco_results
from dpk_core.errors import DataFault
from tests.unit.catalogue.detection.detection_sets import sound_documents, write_coco, write_picture, write_yolo


def sizes(folder: Path) -> dict[str, tuple[int, int]]:
    splits = detection_index(folder).index.splits
    return {name: (len(split), len(split.boxes_M4)) for name, split in splits.items()}


def test_coco_is_read_into_arrays(tmp_path: Path) -> None:
    index = detection_index(write_coco(tmp_path / "set", sound_documents())).index
    assert (index.classes, index.category_ids, index.held_out, index.faults) == (("cat", "dog"), (1, 2), (), ())
    train = index.splits["train"]
    assert [train.name(n) for n in range(2)] == ["train/train0.png", "train/train1.png"]
    assert train.sizes_N2.tolist() == [[48, 64]] * 2
    assert train.first_N1.tolist() == [0, 2, 4]
    assert train.boxes_M4.dtype == np.float32
    assert train.boxes_M4.tolist()[:2] == [[4, 5, 24, 15], [5, 5, 25, 15]]
    assert train.classes_M.tolist() == [0, 1, 0, 1]
    assert train.areas_M.tolist() == [150.0] * 4
    assert train.pictures_M.tolist() == [0, 0, 1, 1]


def test_boxes_are_in_the_order_of_pictures_whatever_the_files(tmp_path: Path) -> None:
    documents = sound_documents()
    documents["train"]["annotations"].reverse()
    train = detection_index(write_coco(tmp_path / "set", documents)).index.splits["train"]
    assert train.box_ids_M.tolist() == ["2", "1", "4", "3"]
    assert train.chosen(np.array([1])).box_ids_M.tolist() == ["4", "3"]


@pytest.mark.parametrize("layout", ["coco", "roboflow", "flat"])
def test_coco_layouts(tmp_path: Path, layout: str) -> None:
    documents = sound_documents()
    folder = write_coco(tmp_path / "set", documents)
    for split in documents:
        annotations = folder / "annotations" / f"instances_{split}.json"
        if layout == "coco":
            (folder / split).rename(folder / f"{split}2017")
            annotations.rename(folder / "annotations" / f"instances_{split}2017.json")
        elif layout == "roboflow":
            annotations.rename(folder / split / "_annotations.coco.json")
        else:
            annotations.rename(folder / f"instances_{split}.json")
            shutil.copytree(folder / split, folder / "images", dirs_exist_ok=True)
            shutil.rmtree(folder / split)
    assert is_detection_data(folder)
    assert sizes(folder) == {"train": (2, 4), "validation": (2, 4), "test": (2, 4)}
    assert detection_index(folder).index.faults == ()


def test_files_of_other_tasks_are_passed_over(tmp_path: Path) -> None:
    folder = write_coco(tmp_path / "set", sound_documents())
    for name in ("captions_train2017", "person_keypoints_train2017", "image_info_test2017"):
        (folder / "annotations" / f"{name}.json").write_text("{}")
    (folder / "dataset.json").write_text("{}")
    assert sizes(folder)["train"] == (2, 4)


@pytest.mark.parametrize("name", ["train2019.json", "train/annotations.json"])
def test_a_json_file_beside_class_folders_makes_no_boxes(tmp_path: Path, name: str) -> None:
    """iNaturalist's layout of classes; the same with boxes in the file is detection data."""
    folder = tmp_path / "plants"
    for label in ("fern", "moss"):
        write_picture(folder / "train" / label / "a.png", 1)
    file = folder / name
    file.write_text(json.dumps({"images": [], "annotations": [{"id": 1, "image_id": 1, "category_id": 1}]}))
    assert dataset_names(tmp_path)[-1] == "folder/plants"
    file.write_text(" " * (2**20 - 3) + json.dumps({"annotations": [{"bbox": [1, 2, 3, 4]}]}))
    assert dataset_names(tmp_path)[-1] == "boxes/plants"


def test_ids_of_pictures_keep_their_type(tmp_path: Path) -> None:
    documents = sound_documents()
    for place, name in enumerate(("001", "2")):
        documents["train"]["images"][place]["id"] = name
    for each in documents["train"]["annotations"]:
        each["image_id"] = ("001", "2")[each["image_id"] - 1]
    train = detection_index(write_coco(tmp_path / "set", documents)).index.splits["train"]
    found = Detections(
        pictures_D=np.array([0, 1]), boxes_D4=np.ones((2, 4)), classes_D=np.array([0, 1]), scores_D=np.ones(2)
    )
    assert [each["image_id"] for each in coco_results(found, train, (1, 2))] == ["001", "2"]
    validation = detection_index(tmp_path / "set").index.splits["validation"]
    assert [each["image_id"] for each in coco_results(found, validation, (1, 2))] == [1, 2]


def test_yolo_is_read_in_pixels(tmp_path: Path) -> None:
    index = detection_index(write_yolo(tmp_path / "set")).index
    assert (index.classes, index.faults) == (("cat", "dog"), ())
    assert index.splits["train"].boxes_M4[0].tolist() == [24, 12, 40, 36]
    assert index.splits["train"].areas_M[0] == 16 * 24
    assert index.splits["train"].box_ids_M[1] == "labels/train/train0.txt:2"


@pytest.mark.parametrize("path", ["../images/{}", "./images/{}", "images/{}/", "{}.txt"])
def test_paths_of_yolo(tmp_path: Path, path: str) -> None:
    folder = write_yolo(tmp_path / "set")
    for split in ("train", "val"):
        names = sorted((folder / "images" / split).iterdir())
        (folder / f"{split}.txt").write_text("".join(f"./images/{split}/{name.name}\n" for name in names))
    (folder / "data.yaml").write_text(
        f"train: {path.format('train')}\nval: {path.format('val')}\nnames: {{0: a, 1: b}}\n"
    )
    assert sizes(folder)["train"] == (2, 4)
    assert detection_index(folder).index.faults == ()


class TestSplits:
    def test_without_a_test_split_half_of_validation_is_one(self, tmp_path: Path) -> None:
        documents = sound_documents(pictures=20)
        del documents["test"]
        index = detection_index(write_coco(tmp_path / "set", documents)).index
        assert index.held_out == ("test",)
        names = {split: {found.name(n) for n in range(len(found))} for split, found in index.splits.items()}
        assert (len(names["train"]), len(names["validation"]), len(names["test"])) == (20, 10, 10)
        assert not names["validation"] & names["test"]
        assert {len(found.boxes_M4) for found in index.splits.values()} == {40, 20}

    def test_training_pictures_alone_are_split_in_three(self, tmp_path: Path) -> None:
        folder = write_coco(tmp_path / "set", {"train": sound_documents(pictures=20)["train"]})
        assert sizes(folder) == {"train": (12, 24), "validation": (4, 8), "test": (4, 8)}

    def test_a_picture_more_moves_few_others(self, tmp_path: Path) -> None:
        documents = [{"train": sound_documents(pictures=pictures)["train"]} for pictures in (40, 41)]
        before, after = (
            detection_index(write_coco(tmp_path / str(place), document)).index.splits["validation"]
            for place, document in enumerate(documents)
        )
        assert len(set(before.names_N) & set(after.names_N)) >= len(before) - 1

    @pytest.mark.parametrize("splits", [("train",), ("train", "val")])
    def test_copies_are_not_torn_apart(self, tmp_path: Path, splits: tuple[str, ...]) -> None:
        documents = {split: sound_documents(pictures=20)[split] for split in splits}
        folder = write_coco(tmp_path / "set", documents)
        cut = splits[-1]
        for number in range(5, 20):
            shutil.copy(folder / cut / f"{cut}{number % 5}.png", folder / cut / f"{cut}{number}.png")
        index = detection_index(folder).index
        kinds = {
            split: {int(found.name(n).removesuffix(".png").rpartition(cut)[2]) % 5 for n in range(len(found))}
            for split, found in index.splits.items() if split != "train" or cut == "train"
        }  # fmt: skip
        assert sorted(each for found in kinds.values() for each in found) == [0, 1, 2, 3, 4]
        assert index.faults == ()

    def test_a_split_that_came_out_without_boxes_is_named(self, tmp_path: Path) -> None:
        documents = {split: sound_documents(pictures=20)[split] for split in ("train", "val")}
        folder = write_coco(tmp_path / "set", documents)
        test = detection_index(folder).index.splits["test"]
        without = set(test.picture_ids_N.tolist())
        documents["val"]["annotations"] = [
            each for each in documents["val"]["annotations"] if json.dumps(each["image_id"]) not in without
        ]
        (folder / "annotations" / "instances_val.json").write_text(json.dumps(documents["val"]))
        fault = next(each for each in detection_index(folder).index.faults if each.kind == "no_boxes")
        assert (fault.split, fault.count, fault.of) == ("test", 10, 10)

    def test_too_few_pictures(self, tmp_path: Path) -> None:
        with pytest.raises(DataFault, match="too few pictures for the three splits"):
            sizes(write_coco(tmp_path / "set", {"train": sound_documents(pictures=1)["train"]}))


class TestStore:
    def test_a_question_is_answered_from_memory_until_the_folder_changes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = write_coco(tmp_path / "set", sound_documents())
        for path in (folder, *folder.rglob("*")):
            os.utime(path, (1e9, 1e9))
        first = recalled_index(folder)
        with monkeypatch.context() as patch:
            patch.setattr(store, "detection_layout", None)
            assert recalled_index(folder) is first
        write_picture(folder / "train" / "more.png", 5)
        assert recalled_index(folder).fingerprint != first.fingerprint

    def test_an_index_is_made_once_per_content(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        first = detection_index(write_coco(tmp_path / "set", sound_documents()))
        monkeypatch.setattr(store, "index_bytes", lambda _: pytest.fail("made again"))
        shutil.copytree(tmp_path / "set", tmp_path / "copy" / "set")
        assert detection_index(tmp_path / "copy" / "set").fingerprint == first.fingerprint

    def test_an_annotation_changed_is_another_content(self, tmp_path: Path) -> None:
        documents = sound_documents()
        first = detection_index(write_coco(tmp_path / "set", documents))
        documents["val"]["annotations"][0]["bbox"] = [0, 0, 20, 10]
        second = detection_index(write_coco(tmp_path / "set", documents))
        assert first.fingerprint != second.fingerprint
        assert second.index.splits["validation"].boxes_M4[0].tolist() == [0, 0, 20, 10]

    def test_large_annotations_are_read_in_a_child(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = write_coco(tmp_path / "set", sound_documents(pictures=3))
        monkeypatch.setattr(store, "IN_PROCESS_BYTES", 0)
        monkeypatch.setattr(store, "index_bytes", lambda _: pytest.fail("read in this process"))
        assert sizes(folder)["train"] == (3, 6)
        (folder / "annotations" / "instances_val.json").write_text("{}")
        with pytest.raises(DataFault, match=r"set/annotations/instances_val.json has no list `images`"):
            sizes(folder)

    def test_a_damaged_index_is_made_again(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DPK_DATA_CACHE", str(tmp_path / "cache"))
        folder = write_coco(tmp_path / "set", sound_documents())
        sizes(folder)
        (kept,) = (tmp_path / "cache").glob("boxes-*.npz")
        kept.write_bytes(kept.read_bytes()[:100])
        assert sizes(folder)["train"] == (2, 4)

    def test_bytes_and_back(self, tmp_path: Path) -> None:
        index = detection_index(write_coco(tmp_path / "set", sound_documents())).index
        again = from_bytes(to_bytes(index))
        assert again.splits["test"].boxes_M4.tolist() == index.splits["test"].boxes_M4.tolist()
        assert (again.classes, again.faults) == (index.classes, index.faults)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("annotations/instances_val.json", "[", "cannot be read as JSON"),
        ("annotations/instances_dev.json", "{}", "instances_dev.json and annotations/instances_val.json"),
        ("annotations/instances_val.json", json.dumps({"images": [], "annotations": 3}), "no list `annotations`"),
    ],
)  # fmt: skip
def test_files_that_cannot_be_understood(tmp_path: Path, name: str, text: str, said: str) -> None:
    folder = write_coco(tmp_path / "set", sound_documents())
    (folder / name).write_text(text)
    with pytest.raises(DataFault, match=said):
        sizes(folder)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("names: [a\n", "cannot be read as YAML"),
        ("train: images/train\n", "no `names` of classes"),
        ("names: [a]\nval: images/val\n", "names no `train` folder"),
        ("names: [a]\ntrain: /elsewhere/pictures\n", "names /elsewhere/pictures, which is not in set"),
        ("names: [a]\ntrain: []\n", "train is empty, where no pictures lie"),
        ("names: [a, b, a]\ntrain: images/train\n", "`names` has a more than once"),
        ("names: [&a [x, x], &b [*a, *a], [*b, *b]]\ntrain: images/train\n", "one of `names` is no name"),
        ("names: !!python/object/apply:os.getcwd []\ntrain: images/train\n", "cannot be read as YAML"),
    ],
)
def test_yaml_that_cannot_be_understood(tmp_path: Path, text: str, said: str) -> None:
    folder = write_yolo(tmp_path / "set")
    (folder / "data.yaml").write_text(text)
    with pytest.raises(DataFault, match=said):
        sizes(folder)


def test_a_folder_without_boxes(tmp_path: Path) -> None:
    assert not is_detection_data(tmp_path)
    with pytest.raises(DataFault, match="holds no annotations of boxes"):
        detection_index(tmp_path)
