"""Pre-flight: each thing that can go wrong, at its field, with the nearest valid choice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dpk_core.catalogue import models
from service.problems import Rejected
from service.schemas import FieldError
from service.selection_jobs.plan import Plan
from service.selection_jobs.preflight import check
from service.selection_jobs.schemas import SelectionJobRequest

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
    assert (plan.seeds, plan.probe_epochs, plan.promote, plan.steps_per_epoch) == ((0, 1), 2, 1, 14)


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
        ({"dataset": "digit"}, "dataset", "There is no data set 'digit'.", "digits"),
        ({"teachers": ["cifar/resnet20", "cifar/resnet8", "cifar/resnet20"]}, "teachers[2]", "as teachers[0]", None),
        ({"classes": 100}, "classes", "digits has 10 classes, not 100.", "10"),
        ({"recipe": "digit"}, "recipe", "There is no recipe 'digit'.", "digits"),
        ({"budget": {"batch_size": 3}}, "budget.batch_size", "at least 4 pictures", "4"),
        ({"budget": {"batch_size": 899}}, "budget.batch_size", "larger than the 898 training pictures", "898"),
        ({"budget": {"epochs": 4, "probe_epochs": 4}}, "budget.probe_epochs", "must be shorter", "3"),
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


def test_only_methods_that_measure_the_gap_need_four_pictures() -> None:
    for method in ("kd", "sp"):
        assert asked(method=method, budget={"batch_size": 2}).student_recipe.batch_size == 2
    for method in ("dpk", "dpk_features_only", "dpk_no_teacher_tokens"):
        assert refused(method=method, budget={"batch_size": 2})[0].field == "budget.batch_size"


def test_pictures_too_small_for_a_common_tap(tmp_path: Path) -> None:
    write_data(tmp_path, "tiny", pictures=400, side=4)
    (error,) = refused(tmp_path, dataset="npz/tiny")
    assert error.field == "student"
    assert "No common tap" in error.message
    for method in ("kd", "dkd", "dist"):
        assert asked(tmp_path, dataset="npz/tiny", method=method).dataset == "npz/tiny"
    for method in ("fitnet", "crd", "dpk_features_only"):
        assert refused(tmp_path, dataset="npz/tiny", method=method) == (error,)


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
        budget={"epochs": 4, "probe_epochs": 9, "promote": 5, "batch_size": 1},
    )  # fmt: skip
    assert [error.field for error in errors] == [
        "student", "teachers[1]", "classes", "budget.batch_size", "budget.probe_epochs", "budget.promote",
    ]  # fmt: skip


def write_data(folder: Path, name: str, *, pictures: int, side: int) -> None:
    labels = np.arange(pictures, dtype=np.int64) % 10
    tests, names = labels[:20], np.array([str(number) for number in range(10)])
    np.savez(
        folder / f"{name}.npz",
        x_train=np.zeros((pictures, side, side), np.uint8), y_train=labels,
        x_test=np.zeros((20, side, side), np.uint8), y_test=tests, classes=names,
    )  # fmt: skip
