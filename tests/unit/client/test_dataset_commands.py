"""`dpk dataset`: what it says and ends with."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from service.datasets.examples import DATASET, DATASET_LIST
from service.datasets.schemas import Dataset, DatasetList
from tests.unit.client.conftest import FakeServer, Outcome

Dpk = Callable[..., Outcome]
PATH = "GET /datasets/folder/flowers"


def answer(**change: Any) -> Dataset:
    return Dataset.model_validate(DATASET | change)


class TestCheck:
    def test_the_whole_answer(self, server: FakeServer, dpk: Dpk) -> None:
        server.answer(PATH, answer())
        ended = dpk("dataset", "check", "folder/flowers")
        assert ended.code == 0
        assert [line.rstrip() for line in ended.out.splitlines()] == [
            "folder/flowers: 480 training, 100 validation and 120 test pictures of 2 classes.",
            f"Warning: {DATASET['findings'][0]['message']}",
            "Note: Left out: 1 file ends in .txt, e.g. train/rose/source.txt.",
            "",
            "class  train  validation  test",
            "daisy    320          60    80",
            "rose     160          40    40",
            "",
            "Splits: test held out of the training pictures, alike for every job",
            "Always naming the most frequent class: 60.0% of validation (daisy)",
            "Smallest class: rose, 160 training pictures",
            "As networks see them: 224 x 224 px, 3 channels; the whole picture, transparent parts as white",
            "Sizes: 1200 x 900 px (512 of 700 that were looked at); from 320 x 240 px to 4032 x 3024 px",
            "Kinds: 41 turned by EXIF, 12 longer than 4:3, 0 with transparency, 3 grey",
            "Copies: 4 of 100 validation and 0 of 120 test pictures are copies; 6 training pictures are there more "
            "than once; 0 lie under two classes",
            "Left out: 1 .txt",
            "Recipe if none is named: photos",
            f"Fingerprint: {DATASET['fingerprint']}",
            f"Page: {server.url}/data/folder/flowers",
        ]

    def test_what_is_refused_ends_with_2(self, server: FakeServer, dpk: Dpk) -> None:
        server.answer(PATH, answer(refused=True, copies=None, survey=None, left_out=[], held_out=[]))
        ended = dpk("dataset", "check", "folder/flowers")
        assert ended.code == 2
        assert "of 2 classes. No job trains on it." in ended.out
        assert "Copies: not looked for\nLeft out: nothing\n" in ended.out
        assert "Splits: all three are on disk\n" in ended.out

    def test_as_json(self, server: FakeServer, dpk: Dpk) -> None:
        server.answer(PATH, answer())
        assert json.loads(dpk("dataset", "check", "folder/flowers", "--json").out) == DATASET

    def test_many_classes_are_cut_short(self, server: FakeServer, dpk: Dpk) -> None:
        classes = [{"name": f"c{n:02}", "train": n, "validation": 1, "test": 1} for n in range(50)]
        server.answer(PATH, answer(classes=classes, smallest="c00"))
        out = dpk("dataset", "check", "folder/flowers").out
        assert "The largest and the smallest classes; 10 between them are in --json." in out
        assert [name for name in ("c49", "c30", "c29", "c20", "c19", "c00") if f"\n{name}" in out] == [
            "c49", "c30", "c19", "c00",
        ]  # fmt: skip

    def test_an_odd_name_is_one_path(self, server: FakeServer, dpk: Dpk) -> None:
        server.answer("GET /datasets/folder/odd%20%231%3F", answer())
        assert dpk("dataset", "check", "folder/odd #1?").code == 0

    def test_an_unknown_one_and_no_name(self, server: FakeServer, dpk: Dpk) -> None:
        server.problem("GET /datasets/folder/flowres", 404, "There is no data set 'folder/flowres'.")
        ended = dpk("dataset", "check", "folder/flowres")
        assert (ended.code, ended.err) == (6, "There is no data set 'folder/flowres'.\n")
        assert dpk("dataset", "check", "..").err == "'..' is no data set; `dpk datasets` names those that are there.\n"

    def test_a_broken_one(self, server: FakeServer, dpk: Dpk) -> None:
        server.problem(PATH, 422, "name: flowers/train/a.png cannot be read as a picture; mend or remove it.")
        ended = dpk("dataset", "check", "folder/flowers")
        assert (ended.code, ended.err.startswith("name: flowers/train/a.png cannot be read")) == (2, True)


class TestList:
    def test_names_and_what_is_none(self, server: FakeServer, dpk: Dpk) -> None:
        server.answer("GET /datasets", DatasetList.model_validate(DATASET_LIST))
        assert dpk("datasets").out == (
            "digits\nfolder/flowers\nNo data set: papers holds 12 files (a.pdf, b.pdf, c.pdf and 9 more).\n"
        )

    def test_as_json(self, server: FakeServer, dpk: Dpk) -> None:
        server.answer("GET /datasets", DatasetList.model_validate(DATASET_LIST))
        assert json.loads(dpk("datasets", "--json").out) == DATASET_LIST
