"""What a teacher's weights take and give, from the request, their file and their library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file

from client.errors import InputFault
from client.teacher_text import read_teacher
from dpk_core.catalogue.datasets import DIGITS
from dpk_core.codec import from_json, to_json
from dpk_core.models.build import build_model
from dpk_core.preprocessing import ModelPreprocessing
from dpk_core.spec import RunSpec
from service.presentation.teacher_words import input_notices
from service.problems import Rejected
from service.scheduling.plan import Plan
from service.selection_jobs.preflight import check
from service.wire.jobs import SelectionJobRequest

MODEL = "cifar/resnet8w8"
GIVEN = f"{MODEL}@file:w.safetensors"
NAMES = [str(number) for number in range(10)]
"""Of the classes of `digits`."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A weights root with a teacher of ten classes."""
    save_file(build_model(MODEL, classes=10, channels=1, seed=0).state_dict(), tmp_path / "w.safetensors")
    return tmp_path


def beside(root: Path, **document: Any) -> None:
    (root / "w.json").write_text(json.dumps(document))


def asked(root: Path, *teachers: object, **change: Any) -> Plan:
    whole = {"student": "cifar/resnet8w4", "dataset": "digits", "teachers": teachers, "method": "kd", **change}
    return check(SelectionJobRequest.model_validate(whole), None, root)


def refused(root: Path, **teacher: Any) -> tuple[str, str]:
    with pytest.raises(Rejected) as raised:
        asked(root, {"model": MODEL, "weights": "file:w.safetensors", **teacher})
    (error,) = raised.value.errors
    return error.field, error.message


def said(plan: Plan, teacher: str = GIVEN) -> list[str]:
    return [message for message, _ in input_notices(plan.preparation(teacher), DIGITS.side)]


class TestPreprocessing:
    def test_what_nobody_says_is_measured(self, root: Path) -> None:
        plan = asked(root, GIVEN)
        assert plan.preparation(GIVEN).preprocessing == ModelPreprocessing(measured=True)
        teacher = {"model": MODEL, "weights": "file:w.safetensors"}
        plan = asked(root, {**teacher, "preprocessing": {"scaling": "data"}})
        assert plan.preparation(GIVEN).preprocessing == ModelPreprocessing()
        assert asked(root, {**teacher, "preparation": "fine_tune"}).preparation(GIVEN).preprocessing is None
        assert said(plan) == []

    def test_what_lies_beside_the_weights_is_taken_and_named(self, root: Path) -> None:
        beside(root, mean=[0.5], std=[0.25], size=16)
        plan = asked(root, GIVEN)
        own = ModelPreprocessing(mean=(0.5,), std=(0.25,), side=16)
        assert plan.preparation(GIVEN).preprocessing == own
        assert plan.teacher_run(GIVEN).training.preprocessing == own
        assert said(plan) == [
            "Pictures are scaled for this teacher by mean 0.5 and deviation 0.25, as w.json says.",
            "Pictures are resized for this teacher from 8 to 16 px (bilinear), as w.json says; "
            "size=8 leaves them as they are.",
        ]
        assert from_json(RunSpec, json.loads(json.dumps(to_json(plan.teacher_run(GIVEN))))) == plan.teacher_run(GIVEN)

    def test_the_request_comes_first_and_leaves_the_rest(self, root: Path) -> None:
        beside(root, mean=[0.5], std=[0.25], size=16)
        teacher = {"model": MODEL, "weights": "file:w.safetensors", "preprocessing": {"scale": 255, "std": 2}}
        plan = asked(root, teacher)
        expected = ModelPreprocessing(mean=(0.0,), std=(2.0,), scale=255.0, side=16)
        assert plan.preparation(GIVEN).preprocessing == expected
        assert "by mean 0 and deviation 2 of 0 … 255, as the request says." in said(plan)[0]

    def test_a_librarys_weights_come_with_its_configuration(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DPK_DOWNLOAD", "1")
        name = "timm/resnet10t@pretrained"
        plan = asked(root, name)
        own = plan.preparation(name).preprocessing
        assert own is not None
        assert (own.mean, own.side, own.interpolation) == ((0.485, 0.456, 0.406), 176, "bicubic")
        assert "as timm " in said(plan, name)[0]
        smaller = {"model": "timm/resnet10t", "weights": "pretrained", "preprocessing": {"size": 8}}
        found = asked(root, smaller).preparation(name).preprocessing
        assert found is not None
        assert (found.mean, found.side) == (own.mean, 8)

    def test_the_teachers_maps_are_those_of_the_pictures_it_sees(self, root: Path) -> None:
        beside(root, size=16)
        (stage, *_) = asked(root, GIVEN, method="fitnet").taps[GIVEN]
        assert stage.teacher.side == 2 * stage.student.side

    @pytest.mark.parametrize(
        ("teacher", "field", "words"),
        [
            ({"preprocessing": {"std": 0}}, "preprocessing.std", "std must be above 0"),
            ({"preprocessing": {"mean": [0.5, 0.5]}}, "preprocessing.mean", "one for each of three channels"),
            ({"preprocessing": {"mean": 0.5, "scaling": "measured"}}, "preprocessing.scaling", "either given or"),
            ({"preprocessing": {"scaling": "measured"}, "preparation": "fine_tune"}, "preprocessing.scaling",
             "can only be measured of weights that are taken as they are"),
            ({"preprocessing": {"size": 8}, "weights": "random"}, "preprocessing", "name its weights"),
            ({"class_map": [0, 1]}, "class_map", "digits has 10 classes, and this names 2"),
            ({"class_map": [*range(9), 10]}, "class_map", "The weights have classes 0 … 9, not 10."),
            ({"class_map": [*range(9), 0]}, "class_map", "Class 0 of the weights is named twice."),
        ],
    )  # fmt: skip
    def test_what_cannot_be_is_refused_at_its_field(
        self, root: Path, teacher: dict[str, Any], field: str, words: str
    ) -> None:
        place, message = refused(root, **teacher)
        assert place == f"teachers[0].{field}"
        assert words in message


class TestClasses:
    def test_names_in_another_order_are_matched(self, root: Path) -> None:
        beside(root, classes=NAMES[1:] + NAMES[:1])
        plan = asked(root, GIVEN)
        assert plan.teacher_run(GIVEN).training.class_map == (9, 0, 1, 2, 3, 4, 5, 6, 7, 8)
        assert said(plan) == ["The classes of these weights were matched with those of the data by name."]

    def test_of_more_classes_those_of_the_data_are_taken_as_they_are(self, root: Path) -> None:
        save_file(build_model(MODEL, classes=12, channels=1, seed=0).state_dict(), root / "w.safetensors")
        beside(root, label_names=["moon", *NAMES, "sun"])
        preparation = asked(root, GIVEN).preparation(GIVEN)
        assert (preparation.kind, preparation.class_map) == ("as_is", tuple(range(1, 11)))
        beside(root, label_names=["moon", "sun", *NAMES[1:], "star"])
        preparation = asked(root, GIVEN).preparation(GIVEN)
        assert (preparation.kind, preparation.class_map) == ("head", None)

    def test_the_same_order_is_no_map(self, root: Path) -> None:
        beside(root, classes=NAMES)
        assert asked(root, GIVEN).preparation(GIVEN).class_map is None

    def test_names_that_do_not_agree_are_a_warning(self, root: Path) -> None:
        beside(root, classes=["nought", *NAMES[1:]])
        plan = asked(root, GIVEN)
        assert plan.preparation(GIVEN).class_map is None
        ((message, is_warning),) = input_notices(plan.preparation(GIVEN), DIGITS.side)
        assert "('0' is not among them), so classes were matched by number" in message
        assert is_warning

    def test_a_map_can_be_given(self, root: Path) -> None:
        order = (*range(1, 10), 0)
        plan = asked(root, {"model": MODEL, "weights": "file:w.safetensors", "class_map": order})
        assert plan.teacher_run(GIVEN).training.class_map == order
        assert said(plan) == ["The classes of these weights were matched with those of the data as class_map says."]


class TestSameWeights:
    def test_the_same_bytes_under_two_names_are_one_teacher(self, root: Path) -> None:
        (root / "again.safetensors").write_bytes((root / "w.safetensors").read_bytes())
        again = f"{MODEL}@file:again.safetensors"
        keys = {asked(root, name).teacher_run(name).key() for name in (GIVEN, again)}
        assert len(keys) == 1
        with pytest.raises(Rejected) as raised:
            asked(root, GIVEN, again)
        (error,) = raised.value.errors
        assert (error.field, error.message) == (
            "teachers[1]", f"{again} is teachers[0] under another name: the same weights, byte for byte."
        )  # fmt: skip

    def test_prepared_in_another_way_they_are_another_teacher(self, root: Path) -> None:
        (root / "again.safetensors").write_bytes((root / "w.safetensors").read_bytes())
        tuned = {"model": MODEL, "weights": "file:again.safetensors", "preparation": "fine_tune", "epochs": 2}
        assert len(asked(root, GIVEN, tuned).arms) == 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a/b", "a/b"),
        ("a/b@file:c,d.pth,as_is", {"weights": "file:c,d.pth", "preparation": "as_is", "epochs": None}),
        ("a/b@pretrained,fine_tune=5,mean=0.5,std=0.1/0.2/0.3,size=64",
         {"preparation": "fine_tune", "epochs": "5",
          "preprocessing": {"mean": [0.5], "std": [0.1, 0.2, 0.3], "size": "64"}}),
        ("a/b@pretrained,scaling=measured,class_map=1/0",
         {"preprocessing": {"scaling": "measured"}, "class_map": [1, 0]}),
        ("a/b,colour=red", {"weights": "random", "preparation": "colour", "epochs": "red"}),
    ],
)  # fmt: skip
def test_a_teacher_on_the_command_line(text: str, expected: str | dict[str, Any]) -> None:
    found = read_teacher(text)
    assert found == ({"model": "a/b", "weights": "pretrained", **expected} if isinstance(expected, dict) else expected)


def test_numbers_on_the_command_line_are_numbers() -> None:
    with pytest.raises(InputFault, match="mean takes numbers with / between them, not 'grey'"):
        read_teacher("a/b@pretrained,mean=grey,std=1")


def test_a_request_goes_out_as_it_came() -> None:
    teacher = {
        "model": MODEL,
        "weights": "file:w.pth",
        "preprocessing": {"mean": 0.5, "std": [1.0, 2.0, 3.0], "size": 8},
    }
    whole = {"student": "cifar/resnet8w4", "dataset": "digits", "teachers": [teacher, MODEL]}
    sent = SelectionJobRequest.model_validate(whole).model_dump(mode="json")["teachers"]
    again = SelectionJobRequest.model_validate({**whole, "teachers": sent})
    assert again == SelectionJobRequest.model_validate(whole)
    assert "class_map" not in sent[0]
    assert sent[1] == MODEL
