"""A data set is listed again when its folder looks otherwise, and only then."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dpk_core.catalogue import datasets, recall
from dpk_core.catalogue.datasets import dataset_card
from dpk_core.catalogue.detection import store
from dpk_core.catalogue.detection.layout import DetectionLayout
from dpk_core.catalogue.pictures import Listing, PictureFacts
from dpk_core.catalogue.recall import Recall
from dpk_core.catalogue.splitting import Parts
from tests.unit.catalogue.detection.detection_sets import write_yolo
from tests.unit.catalogue.picture_sets import encoded, pixels, write_folder, write_parquet


class Counted:
    """Counts how often a data set is listed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times = 0
        listing = datasets.list_pictures

        def counted(name: str, root: Path) -> datasets.Listing:
            self.times += 1
            return listing(name, root)

        monkeypatch.setattr(datasets, "list_pictures", counted)
        monkeypatch.setattr(datasets, "_RECALL", Recall())


@pytest.fixture(autouse=True)
def listed(monkeypatch: pytest.MonkeyPatch) -> Counted:
    return Counted(monkeypatch)


def age(folder: Path) -> Path:
    """Makes all folders and files look older than what may be trusted."""
    for path in [folder, *folder.rglob("*")]:
        os.utime(path, (1e9, 1e9))
    return folder


def card(root: Path, name: str = "folder/made") -> datasets.DatasetCard:
    return dataset_card(name, root, "dataset")


def add(folder: Path) -> None:
    (folder / "train" / "ant" / "new.png").write_bytes(encoded(pixels(99)))


def remove(folder: Path) -> None:
    (folder / "train" / "ant" / "000.png").unlink()


def rename(folder: Path) -> None:
    (folder / "train" / "ant" / "000.png").rename(folder / "train" / "ant" / "zzz.png")


def add_a_class(folder: Path) -> None:
    (folder / "train" / "dog").mkdir()
    for number in range(10):
        (folder / "train" / "dog" / f"{number}.png").write_bytes(encoded(pixels(200 + number)))


def add_a_split(folder: Path) -> None:
    for name in ("ant", "bee", "cat"):
        (folder / "val" / name).mkdir(parents=True)
        (folder / "val" / name / "0.png").write_bytes(encoded(pixels(300)))


def write_over(folder: Path) -> None:
    (folder / "train" / "bee" / "003.png").write_bytes(encoded(pixels(400)))


def declare(folder: Path) -> None:
    (folder / "dataset.json").write_text('{"side": 16}')


def test_threads_that_ask_at_once_read_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    age(write_folder(tmp_path))
    facts, begun, both = datasets.picture_facts, list[int](), threading.Event()

    def slow(listing: Listing, parts: Parts) -> PictureFacts:
        begun.append(1)
        if len(begun) == 2:
            both.set()
        both.wait(0.5)
        return facts(listing, parts)

    monkeypatch.setattr(datasets, "picture_facts", slow)
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(card, [tmp_path] * 2)
    assert first == second
    assert len(begun) == 1
    assert datasets._one_at_a_time._held == {}


def test_threads_that_ask_at_once_read_boxes_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_yolo(tmp_path / "set")
    age(folder)
    listed, begun, both = store._listed, list[int](), threading.Event()

    def slow(asked: Path) -> tuple[DetectionLayout, store.Indexed]:
        begun.append(1)
        if len(begun) == 2:
            both.set()
        both.wait(0.5)
        return listed(asked)

    monkeypatch.setattr(store, "_listed", slow)
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(store.recalled_index, [folder] * 2)
    assert first.fingerprint == second.fingerprint
    assert len(begun) == 1


def test_what_looks_the_same_is_not_listed_again(tmp_path: Path, listed: Counted) -> None:
    age(write_folder(tmp_path))
    first = card(tmp_path)
    assert [card(tmp_path) for _ in range(3)] == [first] * 3
    assert listed.times == 1


@pytest.mark.parametrize("change", [add, remove, rename, add_a_class, add_a_split, write_over, declare])
def test_every_change_is_noticed_at_once(tmp_path: Path, listed: Counted, change: Callable[[Path], None]) -> None:
    folder = age(write_folder(tmp_path))
    before = card(tmp_path)
    change(folder)
    after = card(tmp_path)
    assert after.fingerprint != before.fingerprint
    assert listed.times == 2


def test_a_declaration_written_over_in_place_is_noticed(tmp_path: Path, listed: Counted) -> None:
    folder = write_folder(tmp_path)
    declare(folder)
    age(folder)
    assert (card(tmp_path).side, listed.times) == (16, 1)
    (folder / "dataset.json").write_text('{"side": 32}')
    os.utime(folder / "dataset.json", (1e9, 1e9))
    assert card(tmp_path).side == 32


def test_what_changed_just_now_is_not_trusted(tmp_path: Path, listed: Counted) -> None:
    write_folder(tmp_path)
    card(tmp_path)
    card(tmp_path)
    assert listed.times == 2


def test_a_data_set_that_is_gone_is_not_remembered(tmp_path: Path) -> None:
    folder = age(write_folder(tmp_path))
    card(tmp_path)
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(datasets.InvalidRequest, match="no data set 'folder/made'"):
        card(tmp_path)


def test_parquet_files_are_remembered_too(tmp_path: Path, listed: Counted) -> None:
    for number in range(2):
        write_parquet(tmp_path / "made" / "data" / f"train-{number}.parquet", [row % 3 for row in range(30)])
    age(tmp_path / "made")
    before = card(tmp_path, "parquet/made")
    assert (card(tmp_path, "parquet/made"), listed.times) == (before, 1)
    write_parquet(tmp_path / "made" / "data" / "train-1.parquet", [row % 3 for row in range(33)])
    assert card(tmp_path, "parquet/made").train_pictures > before.train_pictures


class TestManyFiles:
    """Of more than can be looked at each time."""

    @pytest.fixture(autouse=True)
    def few_are_looked_at(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(recall, "LOOKED_AT", 5)

    def test_a_file_written_over_is_noticed_after_a_while(
        self, tmp_path: Path, listed: Counted, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = age(write_folder(tmp_path))
        before = card(tmp_path)
        (folder / "train" / "bee" / "003.png").write_bytes(encoded(pixels(400)))
        assert (card(tmp_path), listed.times) == (before, 1)
        now = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: now + recall.SECONDS + 1)
        assert card(tmp_path).fingerprint != before.fingerprint

    def test_all_of_them_written_over_is_noticed_at_once(self, tmp_path: Path) -> None:
        folder = age(write_folder(tmp_path))
        before = card(tmp_path)
        for number, path in enumerate(sorted(folder.rglob("*.png"))):
            path.write_bytes(encoded(pixels(500 + number)))
        assert card(tmp_path).fingerprint != before.fingerprint

    @pytest.mark.parametrize("change", [add, remove, rename, add_a_split])
    def test_other_changes_are_noticed_at_once(self, tmp_path: Path, change: Callable[[Path], None]) -> None:
        folder = age(write_folder(tmp_path))
        before = card(tmp_path)
        change(folder)
        assert card(tmp_path).fingerprint != before.fingerprint


def test_the_least_recently_used_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recall, "MOST", 2)
    os.utime(tmp_path, (1e9, 1e9))
    looked = recall.looks(tmp_path, [""], [], before_ns=time.time_ns(), listed_at=time.monotonic())
    assert looked is not None
    memory: Recall[int] = Recall()
    for key in (1, 2):
        memory.put(key, looked, key)
    assert memory.get(1) == 1
    memory.put(3, looked, 3)
    assert [memory.get(key) for key in (1, 2, 3)] == [1, None, 3]
