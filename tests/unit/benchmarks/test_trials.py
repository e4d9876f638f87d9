"""Trials are kept whole, found again by content, and shared by the benchmarks that want them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from benchmarks import trials
from benchmarks.subsets import Subset
from dpk_core.recipes import recipe
from dpk_core.spec import MethodSpec

TINY = Subset(name="tiny", source="source", train=100)
RECIPE = replace(recipe("digits"), epochs=2, batch_size=20, warmup_epochs=0)


@pytest.mark.usefixtures("data")
def test_a_trial_holds_what_its_training_showed() -> None:
    teacher = trials.teacher_spec(TINY, "cifar/resnet8w8", RECIPE)
    student = trials.student_spec(TINY, "cifar/resnet8w4", RECIPE, 3, MethodSpec(name="dpk"), teacher)
    assert trials.load(student) is None
    for spec in (teacher, student):
        (line,) = trials.carry_out(TINY, [spec])
        assert "of CPU time" in line
    kept = trials.load(student)
    assert kept is not None
    assert len(kept.values) == len(kept.seconds) == 2
    assert kept.validation_right_EV.shape == (2, 20)
    assert kept.validation_right_EV[-1].mean() == pytest.approx(kept.values[-1]["validation_accuracy"], abs=1e-6)
    assert kept.test_right_N.shape == (40,)
    assert kept.diverged is None


@pytest.mark.usefixtures("data")
def test_what_is_there_is_not_trained_again(monkeypatch: pytest.MonkeyPatch) -> None:
    teacher = trials.teacher_spec(TINY, "cifar/resnet8w4", RECIPE)
    trials.carry_out(TINY, [teacher])
    monkeypatch.setattr(trials, "carry_out", None)
    trials.carry_out_all([(TINY, teacher)], processes=1)


@pytest.mark.usefixtures("data")
def test_trainings_side_by_side_are_those_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    teacher = trials.teacher_spec(TINY, "cifar/resnet8w8", RECIPE)
    trials.carry_out(TINY, [teacher])
    methods = (MethodSpec(name="dpk"), MethodSpec(name="kd"))
    specs = [trials.student_spec(TINY, "cifar/resnet8w4", RECIPE, 3, method, teacher) for method in methods]
    assert len(trials.carry_out(TINY, specs)) == len(specs)
    together = [trials.load(spec) for spec in specs]
    # Alone, and with the teacher itself in place of the one that answers each batch once.
    monkeypatch.setattr(trials, "SharedTeacher", lambda teacher, _: _Lent(teacher))
    for spec in specs:
        trials.carry_out(TINY, [spec])
    alone = [trials.load(spec) for spec in specs]
    for one, other in zip(together, alone, strict=True):
        assert one is not None
        assert other is not None
        assert one.values == other.values
        assert (one.validation_right_EV == other.validation_right_EV).all()
        assert (one.test_right_N == other.test_right_N).all()
    assert together[0] is not None
    assert together[1] is not None
    assert together[0].values != together[1].values


class _Lent(nn.Module):
    """A teacher as it is, under the names of its own modules."""

    def __init__(self, teacher: nn.Module) -> None:
        super().__init__()
        for name, module in teacher.named_children():
            self.add_module(name, module)
        self._run = teacher.forward
        self.seconds = 0.0

    def forward(self, pictures_BCHW: Tensor) -> Tensor:
        logits_BC: Tensor = self._run(pictures_BCHW)
        return logits_BC

    def forget(self) -> None:
        """Nothing is remembered."""


@pytest.mark.usefixtures("data")
def test_a_teacher_starts_from_its_pretraining() -> None:
    five = Subset(name="five", source="five", train=100)
    first = trials.teacher_spec(five, "cifar/resnet8w4", replace(RECIPE, epochs=1))
    with pytest.raises(LookupError, match=r"cifar/resnet8w4 on npz/five is not finished"):
        trials.start_from(first)
    trials.carry_out(five, [first])
    start = trials.start_from(first)
    still = replace(RECIPE, epochs=1, learning_rate=1e-9)
    tuned, fresh = (trials.teacher_spec(TINY, "cifar/resnet8w4", still, start=each) for each in (start, None))
    trials.carry_out(TINY, [tuned, fresh])
    weights = [load_file(trials.weights_path(spec.key())) for spec in (first, tuned, fresh)]
    key = next(name for name in weights[0] if weights[0][name].ndim == 4)
    assert torch.allclose(weights[1][key], weights[0][key], atol=1e-6)
    assert not torch.allclose(weights[2][key], weights[0][key], atol=1e-3)
    assert len(trials.weights_hash(tuned.key())) == 12
    assert trials.weights_hash(tuned.key()) != trials.weights_hash(fresh.key())
