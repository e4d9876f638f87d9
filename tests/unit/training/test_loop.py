"""The training loop: common random numbers, clean global state, separate splits, loud divergence."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from typing import get_args

import pytest
import torch
from torch import Tensor

from dpk_core.data.source import Split
from dpk_core.distill.method import StepContext, StepOutcome
from dpk_core.dpk_settings import DpkSettings, ShareSettings
from dpk_core.errors import InvalidRequest, TrainingDiverged
from dpk_core.spec import MethodName, MethodSpec
from dpk_core.training import loop
from dpk_core.training.loop import train
from dpk_core.training.training import Training, begin
from tests.unit.training.tiny import METHODS, RECIPE, STEPS, Watcher, digits, few_digits, spec, start, teacher


def inputs(training: Training, steps: int) -> list[tuple[Tensor, Tensor]]:
    """The pictures and labels of the first steps."""
    seen: list[tuple[Tensor, Tensor]] = []
    training.method.register_forward_pre_hook(lambda _, args: seen.append(args[:2]))
    train(training, 1, Watcher(stop_at=steps))
    return seen


class TestCommonRandomNumbers:
    def test_two_teachers_start_from_one_student_and_see_the_same_pictures(self) -> None:
        one, other = start(spec("dpk")), start(spec("dpk", teacher_model="cifar/resnet14"))
        for (name, first), second in zip(
            one.model.state_dict().items(), other.model.state_dict().values(), strict=True
        ):
            assert torch.equal(first, second), name
        for first, second in zip(inputs(one, 2), inputs(other, 2), strict=True):
            assert torch.equal(first[0], second[0])
            assert torch.equal(first[1], second[1])

    def test_no_teacher_shares_them_too(self) -> None:
        first, second = inputs(start(spec("none")), 1)[0], inputs(start(spec("kd")), 1)[0]
        assert torch.equal(first[0], second[0])

    def test_another_seed_changes_all_of_them(self) -> None:
        one, other = start(spec(seed=0)), start(spec(seed=1))
        assert not torch.equal(next(one.model.parameters()), next(other.model.parameters()))
        assert not torch.equal(inputs(one, 1)[0][0], inputs(other, 1)[0][0])


class TestMemory:
    LAGGING = MethodSpec(name="dpk", dpk=DpkSettings(share=ShareSettings(lag=True)))

    @pytest.mark.parametrize("method", [*(MethodSpec(name=name) for name in get_args(MethodName)), LAGGING])
    def test_a_finished_training_leaves_the_device_without_a_collection(self, method: MethodSpec) -> None:
        gc.collect()
        gc.disable()
        try:
            training = start(replace(spec(method.name), method=method))
            train(training, 1, Watcher(stop_at=1))
            left = [weakref.ref(each) for each in (training.method, training.model)]
            del training
            assert [each() for each in left] == [None, None]
        finally:
            gc.enable()


class TestMeasurements:
    @pytest.mark.parametrize("method", METHODS)
    def test_every_epoch_is_measured(self, method: MethodName) -> None:
        watcher = Watcher()
        training = start(spec(method))
        assert train(training, 2, watcher)
        assert training.step == 2 * STEPS
        assert len(watcher.epochs) == 2
        expected = {"train_loss", "train_accuracy", "loss_class", "validation_accuracy", "validation_loss"}
        if method != "none":
            expected |= {"loss_logits", "gradient.class", "gradient.logits"}
        if method == "dpk":
            expected |= {"loss_features", "gradient.features"}
            expected |= {
                f"{part}.{stage}" for part in ("share", "cka", "share_fallback") for stage in ("last", "second_last")
            }
        assert set(watcher.epochs[0]) == expected

    def test_the_student_learns(self) -> None:
        watcher = Watcher()
        train(start(spec(recipe=replace(RECIPE, epochs=5)), digits()), 5, watcher)
        assert watcher.epochs[-1]["train_loss"] < 0.8 * watcher.epochs[0]["train_loss"]
        assert watcher.epochs[-1]["validation_accuracy"] > 0.5

    def test_training_goes_on_in_training_mode_after_a_measurement(self) -> None:
        training = start(spec("dpk"))
        train(training, 1, Watcher())
        assert training.model.training
        assert training.method.teacher is not None
        assert not training.method.teacher.training


def test_the_observer_is_shown_every_validation_picture() -> None:
    training, watcher = start(spec("none")), Watcher()
    train(training, 2, watcher)
    assert [len(judgement.evidence_N) for judgement in watcher.judgements] == [len(few_digits().validation)] * 2
    shares = [judgement.evidence_N.double().mean().item() for judgement in watcher.judgements]
    assert shares == [values["validation_accuracy"] for values in watcher.epochs]


def test_the_teacher_stays_as_it_is() -> None:
    before = {name: value.clone() for name, value in teacher().state_dict().items()}
    train(start(spec("dpk")), 1, Watcher())
    assert all(torch.equal(value, before[name]) for name, value in teacher().state_dict().items())


def test_dropout_follows_the_step_and_the_global_state_is_left_alone() -> None:
    def losses(stop_first_at: int | None) -> list[float]:
        training, seen = start(spec()), []
        training.model.register_forward_pre_hook(
            lambda model, args: (torch.nn.functional.dropout(args[0], 0.5, model.training),)
        )
        training.method.register_forward_hook(lambda *call: seen.append(call[2].loss.item()))
        if stop_first_at is not None:
            train(training, 1, Watcher(stop_at=stop_first_at))
            torch.rand(100)
        before = torch.get_rng_state()
        train(training, 1, Watcher())
        assert torch.equal(torch.get_rng_state(), before)
        return seen

    torch.manual_seed(11)
    whole = losses(None)
    torch.manual_seed(12)
    assert losses(3) == whole


def test_training_never_reads_the_test_split() -> None:
    def refuse() -> Split:
        raise AssertionError("the test split was read")

    training = begin(spec(), replace(few_digits(), read_test=refuse), None)
    train(training, RECIPE.epochs, Watcher())
    assert training.step == RECIPE.epochs * STEPS


class TestDivergence:
    @pytest.mark.parametrize("check_steps", [1, 1000])
    def test_a_loss_that_is_no_number_ends_the_training(
        self, monkeypatch: pytest.MonkeyPatch, check_steps: int
    ) -> None:
        """Found at the next check or, at the latest, at the end of the epoch."""
        monkeypatch.setattr(loop, "CHECK_STEPS", check_steps)
        training = start(spec())

        def spoil(method: object, args: tuple[Tensor, Tensor, StepContext], outcome: StepOutcome) -> StepOutcome:
            return replace(outcome, loss=outcome.loss * float("nan")) if args[2].step == 2 else outcome

        training.method.register_forward_hook(spoil)
        with pytest.raises(TrainingDiverged, match="train_loss was no finite number"):
            train(training, 1, Watcher())
        assert training.step == (3 if check_steps == 1 else STEPS)

    def test_at_the_first_step_nothing_more_is_computed(self) -> None:
        training = start(spec())
        with torch.no_grad():
            next(training.model.parameters()).fill_(torch.inf)
        with pytest.raises(TrainingDiverged, match=r"by step 1\. Nothing was updated before"):
            train(training, 1, Watcher())
        assert training.step == 1


def test_a_batch_larger_than_the_data_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="A batch of 2000 needs more than the 240"):
        start(spec(recipe=replace(RECIPE, batch_size=2000)))


def test_gradients_are_clipped() -> None:
    training = start(spec(recipe=replace(RECIPE, clip_norm=1e-6, momentum=0.0, weight_decay=0.0, learning_rate=1.0)))
    before = [parameter.detach().clone() for parameter in training.model.parameters()]
    train(training, 1, Watcher(stop_at=1))
    moved = torch.stack([(new - old).norm() for new, old in zip(training.model.parameters(), before, strict=True)])
    assert 0 < moved.norm().item() <= 1e-6
