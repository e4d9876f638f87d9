"""Pre-flight: each thing that can go wrong, at its field, with the nearest valid choice."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from safetensors.torch import save_file

from dpk_core.catalogue import models
from dpk_core.catalogue.tapping import TappedMap
from dpk_core.codec import from_json, to_json
from dpk_core.models.build import build_model
from dpk_core.spec import LEAST_BATCH, LEAST_NORMALISED, TaughtMethodName
from service.problems import Rejected
from service.scheduling.plan import Plan
from service.schemas import FieldError
from service.selection_jobs.preflight import check
from service.wire.jobs import SelectionJobRequest

MODEL = "cifar/resnet8w8"
RIGHT: dict[str, Any] = {
    "student": "cifar/resnet8w4", "dataset": "digits", "teachers": ["cifar/resnet8w8", "cifar/resnet20"],
}  # fmt: skip


def asked(data_root: Path | None = None, **change: Any) -> Plan:
    return check(SelectionJobRequest.model_validate({**RIGHT, **change}), data_root)


def refused(data_root: Path | None = None, **change: Any) -> tuple[FieldError, ...]:
    with pytest.raises(Rejected) as raised:
        asked(data_root, **change)
    return raised.value.errors


def test_what_is_right_becomes_a_plan() -> None:
    plan = asked(seeds=2, classes=10, budget={"epochs": 8, "promote": 1})
    assert plan.arms == ("cifar/resnet8w8", "cifar/resnet20", None)
    assert (plan.seeds, plan.rungs, plan.promote, plan.steps_per_epoch) == ((0, 1), tuple(range(1, 9)), 1, 14)


def test_the_student_may_be_its_own_teacher() -> None:
    assert asked(teachers=["cifar/resnet8w4"], budget={"promote": 1}).arms == ("cifar/resnet8w4", None)


def test_a_single_teacher_needs_no_word_about_promotion() -> None:
    assert asked(teachers=["cifar/resnet20"]).promote == 1
    assert refused(teachers=["cifar/resnet20"], budget={"promote": 2})[0].field == "budget.promote"


@pytest.mark.parametrize(
    ("change", "field", "words", "nearest"),
    [
        ({"student": "cifar/resnet2"}, "student", "There is no model 'cifar/resnet2'.", "cifar/resnet32"),
        ({"teachers": ["cifar/resnet20", "cifar/resnte14"]}, "teachers[1]", "no model", "cifar/resnet14"),
        ({"dataset": "digit"}, "dataset", "There is no data set 'digit' under DPK_DATA_ROOT", "digits"),
        ({"teachers": ["cifar/resnet20", "cifar/resnet8", "cifar/resnet20"]}, "teachers[2]", "as teachers[0]", None),
        ({"classes": 100}, "classes", "digits has 10 classes, not 100.", "10"),
        ({"recipe": "digit"}, "recipe", "There is no recipe 'digit'; there are digits, cifar100,", "digits"),
        ({"recipe": "timm/resnet50"}, "recipe", "There is no recipe", None),
        ({"budget": {"batch_size": 3}}, "budget.batch_size", "dpk needs at least 4 pictures", "4"),
        ({"budget": {"batch_size": 899}}, "budget.batch_size", "larger than the 898 training pictures", "898"),
        ({"budget": {"epochs": 4, "rungs": [1, 5]}}, "budget.rungs", "epoch 4, not 5", "[1, 4]"),
        ({"budget": {"epochs": 4, "rungs": [2, 1, 4]}}, "budget.rungs", "rise", "[1, 2, 4]"),
        ({"budget": {"epochs": 4, "rungs": [0, 4]}}, "budget.rungs", "rise from 1 on", "[4]"),
        ({"budget": {"runs": 1}}, "budget.runs", "nothing can be compared", "2"),
        ({"budget": {"promote": 3}}, "budget.promote", "Only 2 teachers are listed", "2"),
        ({"budget": {"teacher_epochs": 1000, "epochs": 1000}, "seeds": 20, "dataset": "npz/large", "method": "kd"},
         "budget.epochs", "picture passes", None),
    ],
)  # fmt: skip
def test_one_thing_wrong(change: dict[str, Any], field: str, words: str, nearest: str | None, tmp_path: Path) -> None:
    if change.get("dataset") == "npz/large":
        write_data(tmp_path, "large", pictures=400_000, side=4)
    (error,) = refused(tmp_path, **change)
    assert (error.field, error.nearest) == (field, nearest)
    assert words in error.message


@pytest.mark.parametrize("method", get_args(TaughtMethodName))
def test_a_batch_has_the_pictures_that_its_method_needs(method: str) -> None:
    least = max(LEAST_NORMALISED, LEAST_BATCH.get(method, (1, ""))[0])
    assert asked(method=method, budget={"batch_size": least}).student_recipe.batch_size == least
    (error,) = refused(method=method, budget={"batch_size": least - 1})
    assert (error.field, error.nearest) == ("budget.batch_size", str(least))


VIT, CONVNEXT, MIXER = "timm/vit_tiny_patch16_224", "timm/convnext_atto", "timm/mixer_s32_224"


def test_a_batch_of_one_is_for_networks_without_batch_normalisation(tmp_path: Path) -> None:
    write_data(tmp_path, "large", pictures=400, side=64)
    one: dict[str, Any] = {"dataset": "npz/large", "method": "kd", "budget": {"batch_size": 1, "promote": 1}}
    assert asked(tmp_path, student=VIT, teachers=[CONVNEXT], **one).student_recipe.batch_size == 1
    for student, teacher, named in (
        (VIT, "timm/resnet18", "timm/resnet18"),
        ("torchvision/resnet18", VIT, "torchvision"),
    ):
        (error,) = refused(tmp_path, student=student, teachers=[teacher], **one)
        assert (error.field, error.nearest) == ("budget.batch_size", "2")
        assert f"{named}" in error.message
        assert "has batch normalisation" in error.message
    # Judged as it is, or under a new head, a teacher's statistics stay what they are.
    save_file(build_model(MODEL, classes=7, channels=1, seed=0).state_dict(), tmp_path / "7.safetensors")
    request = SelectionJobRequest.model_validate({**one, "student": VIT, "teachers": [f"{MODEL}@file:7.safetensors"]})
    assert check(request, tmp_path, tmp_path).student_recipe.batch_size == 1


def test_what_is_tapped_is_in_the_plan(tmp_path: Path) -> None:
    write_data(tmp_path, "colour", pictures=400, side=32, channels=3)
    teachers = ["timm/resnet18", "cifar/resnet20"]
    plan = asked(tmp_path, dataset="npz/colour", student="cifar/resnet8", teachers=teachers)
    assert list(plan.taps) == teachers
    assert [stage.stage for stage in plan.taps["timm/resnet18"]] == ["last", "second_last"]
    last = plan.taps["timm/resnet18"][0]
    assert last.student == TappedMap(module="stages.2", channels=64, side=8)
    assert last.teacher == TappedMap(module="layer3", channels=256, side=2)
    assert from_json(Plan, to_json(plan)) == plan
    logits = asked(tmp_path, dataset="npz/colour", student="cifar/resnet8", teachers=teachers, method="kd")
    assert not any(logits.taps.values())


def test_pictures_too_small_for_the_maps_of_a_method(tmp_path: Path) -> None:
    write_data(tmp_path, "tiny", pictures=400, side=2)
    for method in ("kd", "dkd", "dist", "sp", "rkd", "crd", "at"):
        assert asked(tmp_path, dataset="npz/tiny", method=method).dataset == "npz/tiny"
    for method in ("dpk", "fitnet", "dpk_features_only"):
        first, *_ = refused(tmp_path, dataset="npz/tiny", method=method)
        assert first.field == "student"
        assert "On 2x2 pictures cifar/resnet8w4 has one; on 8x8 it has three; method kd needs none." in first.message


def test_a_teacher_without_taps_is_named_by_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    cards = {
        **{name: models.model_card(name, "x") for name in ("cifar/resnet8w4", "cifar/resnet20")},
        "timm/flat": models.ModelCard(name="timm/flat", taps=(), obstacle="it keeps no map"),
    }
    monkeypatch.setattr(models, "_cards", lambda: cards)
    (error,) = refused(teachers=["cifar/resnet20", "timm/flat"])
    assert error.field == "teachers[1]"
    assert "it keeps no map" in error.message


def test_a_broken_data_set_is_the_data_sets_fault(tmp_path: Path) -> None:
    (tmp_path / "broken.npz").write_bytes(b"not a data set")
    (error,) = refused(tmp_path, dataset="npz/broken")
    assert error.field == "dataset"


def test_everything_wrong_is_told_at_once() -> None:
    errors = refused(
        student="cifar/resnet21", teachers=["cifar/resnet20", "cifar/resnet20"], classes=3,
        budget={"epochs": 4, "rungs": [9], "promote": 5, "batch_size": 1},
    )  # fmt: skip
    assert [error.field for error in errors] == [
        "student", "teachers[1]", "classes", "budget.batch_size", "budget.rungs", "budget.promote",
    ]  # fmt: skip


class TestWeights:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        for classes in (10, 7):
            write_weights(tmp_path / f"{classes}.safetensors", classes)
        return tmp_path

    def asked(self, root: Path | None, *teachers: object, **change: Any) -> Plan:
        request = {**RIGHT, "teachers": teachers, "budget": {"promote": 1}, **change}
        return check(SelectionJobRequest.model_validate(request), None, root)

    def refused(self, root: Path | None, *teachers: object, **change: Any) -> list[tuple[str, str, str | None]]:
        with pytest.raises(Rejected) as raised:
            self.asked(root, *teachers, **change)
        return [(error.field, error.message, error.nearest) for error in raised.value.errors]

    def test_one_model_with_other_weights_is_another_arm(self, root: Path) -> None:
        ten, seven = f"{MODEL}@file:10.safetensors", f"{MODEL}@file:7.safetensors"
        plan = self.asked(root, MODEL, ten, {"model": MODEL, "weights": "file:7.safetensors", "epochs": 5})
        assert plan.arms == (MODEL, ten, seven, None)
        found = [plan.preparation(arm) for arm in plan.arms if arm]
        assert [(each.kind, each.recipe.epochs, each.start is None) for each in found] == [
            ("train", 24, True), ("as_is", 0, False), ("head", 5, False),
        ]  # fmt: skip
        runs = [plan.teacher_run(arm).training for arm in plan.arms if arm]
        assert [(run.model, run.trains) for run in runs] == [(MODEL, "all"), (MODEL, "all"), (MODEL, "head")]
        students = {plan.student_run(arm, 0, 8).training.key() for arm in plan.arms}
        assert len(students) == 4

    def test_how_it_is_prepared_may_be_said(self, root: Path) -> None:
        tuned = {"model": MODEL, "weights": "file:10.safetensors", "preparation": "fine_tune", "epochs": 2}
        plan = self.asked(root, tuned, {"model": "cifar/resnet20", "epochs": 3})
        found = plan.preparation(f"{MODEL}@file:10.safetensors")
        assert (found.kind, found.recipe.name, found.recipe.epochs) == ("fine_tune", "digits_fine_tuning", 2)
        assert plan.teacher_run(f"{MODEL}@file:10.safetensors").training.trains == "all"
        assert plan.teacher_run("cifar/resnet20").stop_epoch == 3

    def test_a_plan_without_weights_says_nothing_of_them(self) -> None:
        plan = asked()
        assert (plan.preparations, plan.student_start) == ({}, None)

    def test_a_student_may_start_from_weights(self, root: Path) -> None:
        plan = self.asked(root, "cifar/resnet20", student={"model": MODEL, "weights": "file:7.safetensors"})
        assert plan.student == MODEL
        assert plan.student_start is not None
        for arm in plan.arms:
            assert plan.student_run(arm, 0, 8).training.start == plan.student_start
        assert plan.teacher_run("cifar/resnet20").training.start is None

    @pytest.mark.parametrize(
        ("teacher", "field", "words", "nearest"),
        [
            (f"{MODEL}@file:no.safetensors", "weights", "There are no weights no.safetensors", None),
            (f"{MODEL}@pretrained", "weights", "no published weights", "random"),
            (f"{MODEL}@imagenet", "weights", "not 'imagenet'", None),
            ("cifar/resnet20@file:10.safetensors", "weights", "do not fit cifar/resnet20: they lack 'stages.0.1", None),
            (f"{MODEL}@pretrianed", "weights", "not 'pretrianed'", "pretrained"),
            ({"model": MODEL, "weights": "file:7.safetensors", "preparation": "as_is"}, "preparation",
             "were made for 7 classes, and digits has 10", "head"),
            ({"model": MODEL, "weights": "file:7.safetensors", "preparation": "train"}, "preparation",
             "throw the weights away", "fine_tune"),
            ({"model": MODEL, "preparation": "head"}, "preparation", "Random weights can only be trained", "train"),
            ({"model": MODEL, "weights": "file:10.safetensors", "preparation": "as_is", "epochs": 2}, "epochs",
             "take no epochs", None),
        ],
    )  # fmt: skip
    def test_what_cannot_be_is_told_before_anything_runs(
        self, root: Path, teacher: object, field: str, words: str, nearest: str | None
    ) -> None:
        ((place, message, offered),) = self.refused(root, "cifar/resnet14", teacher)
        assert (place, offered) == (f"teachers[1].{field}", nearest)
        assert words in message

    def test_weights_for_other_pictures_are_told_before_anything_runs(self, tmp_path: Path) -> None:
        write_data(tmp_path, "colour", pictures=40, side=64, channels=3)
        save_file(build_model(MODEL, classes=10, channels=1, seed=0).state_dict(), tmp_path / "grey.safetensors")
        mixer = build_model(MIXER, classes=10, channels=3, seed=0, side=96)
        save_file(mixer.state_dict(), tmp_path / "mixer.safetensors")
        change = {
            "dataset": "npz/colour", "method": "kd", "budget": {"batch_size": 8},
            "student": f"{MIXER}@file:mixer.safetensors", "teachers": [f"{MODEL}@file:grey.safetensors", MODEL],
        }  # fmt: skip
        with pytest.raises(Rejected) as raised:
            check(SelectionJobRequest.model_validate({**RIGHT, **change}), tmp_path, tmp_path)
        said = [(error.field, error.message) for error in raised.value.errors]
        assert [field for field, _ in said] == ["student.weights", "teachers[0].weights"]
        assert "were made for pictures of 96x96; these are 64x64" in said[0][1]
        assert "takes pictures of 1 channel; these have 3" in said[1][1]

    def test_names_as_the_libraries_print_them_are_the_same_arms(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DPK_DOWNLOAD", "1")
        names = ["timm/resnet18.a1_in1k", "hf-hub:timm/resnet18.a2_in1k", {"model": "ResNet18_Weights.DEFAULT"}]
        plan = self.asked(None, *names, method="kd")
        assert plan.arms == (
            "timm/resnet18@pretrained",
            "timm/resnet18@a2_in1k",
            "torchvision/resnet18@pretrained",
            None,
        )

    def test_the_students_weights_are_checked_too(self, root: Path) -> None:
        ((place, message, _),) = self.refused(root, "cifar/resnet20", student=f"{MODEL}@file:../x")
        assert place == "student.weights"
        assert "outside the weights root" in message

    def test_the_same_weights_twice_are_one_arm(self, root: Path) -> None:
        name = f"{MODEL}@file:10.safetensors"
        again = {"model": MODEL, "weights": "file:10.safetensors", "preparation": "fine_tune"}
        assert self.refused(root, name, again)[0][:2] == ("teachers[1]", f"{name} is listed already, as teachers[0].")

    def test_a_feature_encoder_is_no_teacher(self, tmp_path: Path) -> None:
        write_data(tmp_path, "large", pictures=400, side=48)
        for method in ("kd", "dpk"):
            teachers = ["timm/gemma4_vit_167m_enc"]
            (error,) = refused(tmp_path, dataset="npz/large", method=method, teachers=teachers)
            assert error.field == "teachers[0]"
            assert "is no classifier: its output is not one score for each class" in error.message


def write_weights(path: Path, classes: int) -> None:
    save_file(build_model(MODEL, classes=classes, channels=1, seed=0).state_dict(), path)


def write_data(folder: Path, name: str, *, pictures: int, side: int, channels: int = 1) -> None:
    labels = np.arange(pictures, dtype=np.int64) % 10
    shape = (side, side) if channels == 1 else (side, side, channels)
    tests, names = labels[:20], np.array([str(number) for number in range(10)])
    chance = np.random.default_rng(0)
    np.savez(
        folder / f"{name}.npz",
        x_train=chance.integers(0, 256, (pictures, *shape), np.uint8), y_train=labels,
        x_test=chance.integers(0, 256, (20, *shape), np.uint8), y_test=tests, classes=names,
    )  # fmt: skip
