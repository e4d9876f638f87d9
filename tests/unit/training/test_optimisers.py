"""What trains a network, and gradients added up over parts of a batch."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from dpk_core.distill.method import StepContext
from dpk_core.recipes import IMAGENET
from dpk_core.spec import Recipe
from dpk_core.training.loop import train
from dpk_core.training.training import Training
from tests.unit.training.tiny import RECIPE, STEPS, Watcher, spec, start

PLAIN = replace(RECIPE, momentum=0.0, weight_decay=0.0, warmup_epochs=0)


def without_batch_statistics(recipe: Recipe) -> Training:
    """A student whose batch normalisation does not look at the batch: a part computes as the whole would."""
    training = start(spec(recipe=recipe))
    for module in training.model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    training.model.train = lambda _mode=True: training.model  # type: ignore[method-assign, assignment]  # stays so
    return training


class TestAdamW:
    def test_its_first_step_goes_the_rate_along_each_sign(self) -> None:
        training = start(spec(recipe=replace(PLAIN, optimiser="adamw", learning_rate=1e-3)))
        before = nn.utils.parameters_to_vector(training.model.parameters()).detach()
        train(training, 1, Watcher(stop_at=1))
        moved = (nn.utils.parameters_to_vector(training.model.parameters()).detach() - before).abs()
        assert moved.median().item() == pytest.approx(1e-3, rel=1e-2)

    def test_modules_beside_a_student_keep_theirs(self) -> None:
        training = start(spec("dpk", recipe=replace(RECIPE, optimiser="adamw")))
        assert isinstance(training.optimisers.student, torch.optim.AdamW)
        assert isinstance(training.optimisers.modules, torch.optim.AdamW)
        assert training.optimisers.modules.defaults["betas"] == (0.9, 0.95)

    def test_it_decays_neither_biases_nor_norms(self) -> None:
        training = start(spec("dpk", recipe=replace(RECIPE, optimiser="adamw")))
        for optimiser in (training.optimisers.student, training.optimisers.modules):
            assert optimiser is not None
            decayed, spared = optimiser.param_groups
            assert decayed["weight_decay"] > 0
            assert spared["weight_decay"] == 0
            assert {parameter.ndim > 1 for parameter in decayed["params"]} == {True}
            assert {parameter.ndim > 1 for parameter in spared["params"]} == {False}


class TestSgd:
    @pytest.mark.parametrize("nesterov", [True, False])
    def test_nesterov_is_a_choice(self, nesterov: bool) -> None:
        training = start(spec(recipe=replace(RECIPE, nesterov=nesterov)))
        assert training.optimisers.student.defaults["nesterov"] is nesterov

    def test_the_recipe_for_imagenet_has_none(self) -> None:
        assert not IMAGENET.nesterov


class TestClipping:
    def test_student_and_modules_are_clipped_apart(self) -> None:
        training = start(spec("dpk", recipe=replace(RECIPE, clip_norm=0.01)))
        train(training, 1, Watcher(stop_at=1))
        for modules in (training.model, training.method.extras):
            gradients = [parameter.grad for parameter in modules.parameters() if parameter.grad is not None]
            assert nn.utils.get_total_norm(gradients).item() == pytest.approx(0.01, rel=1e-3)


class TestAccumulation:
    # 32 pictures in three parts are 11, 11 and 10: each picture counts alike.
    @pytest.mark.parametrize("parts", [2, 3])
    def test_parts_add_up_to_the_whole(self, parts: int) -> None:
        whole, split = (without_batch_statistics(replace(PLAIN, accumulation=count)) for count in (1, parts))
        for training in (whole, split):
            train(training, 1, Watcher(stop_at=2))
        for one, other in zip(whole.model.parameters(), split.model.parameters(), strict=True):
            torch.testing.assert_close(one, other)
        assert split.averages.means() == pytest.approx(whole.averages.means(), rel=1e-4)

    def test_each_part_is_a_step_to_the_method(self) -> None:
        training, seen = start(spec("dpk", recipe=replace(RECIPE, accumulation=2))), []
        training.method.register_forward_pre_hook(lambda _, args: seen.append((len(args[0]), len(args[1]), args[2])))
        train(training, 1, Watcher(stop_at=2))
        contexts: list[StepContext] = [context for _, _, context in seen]
        assert [(pictures, labels) for pictures, labels, _ in seen] == [(16, 16)] * 4
        assert [context.step for context in contexts] == [0, 1, 2, 3]
        assert {context.total_steps for context in contexts} == {2 * 2 * STEPS}
        positions = torch.cat([context.positions_B for context in contexts if context.positions_B is not None])
        assert len(positions.unique()) == 64

    def test_there_are_no_more_parts_than_pictures(self) -> None:
        with pytest.raises(ValueError, match="accumulation must be in 1 … 32"):
            replace(RECIPE, accumulation=33)
