"""Rivals' losses as extra terms of DPK."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
import torch
from torch import Tensor

from dpk_core.distill.build import build_method
from dpk_core.distill.extra_losses import EXTRA_LOSSES
from dpk_core.distill.method import Method, StepContext, StepOutcome
from dpk_core.dpk_settings import DpkSettings, ExtraLoss, ExtraName
from dpk_core.models.build import build_model
from dpk_core.spec import MethodName, MethodSpec

STEP = StepContext(seed=3, step=1, total_steps=40)
"""Within DKD's warm-up."""


def make(name: MethodName, settings: DpkSettings | None = None) -> Method:
    return build_method(
        MethodSpec(name=name, dpk=settings),
        student=build_model("cifar/resnet8w4", classes=10, channels=1, seed=0), student_name="cifar/resnet8w4",
        teacher=build_model("cifar/resnet8", classes=10, channels=1, seed=1), teacher_name="cifar/resnet8",
        picture_shape=(1, 8, 8), seed=5,
    )  # fmt: skip


def run(name: MethodName, *extra_losses: ExtraLoss, step: StepContext = STEP) -> StepOutcome:
    """A first step of `name` with fresh networks."""
    settings = DpkSettings(extra_losses=extra_losses) if name == "dpk" else None
    done: StepOutcome = make(name, settings)(*batch(), step)
    return done


def batch() -> tuple[Tensor, Tensor]:
    """Pictures, and labels that are shares of classes."""
    generator = torch.Generator().manual_seed(9)
    return torch.randn(8, 1, 8, 8, generator=generator), torch.rand(8, 10, generator=generator).softmax(dim=1)


def added(rival: ExtraName) -> Tensor:
    """What the rival itself adds to its cross-entropy."""
    done = run(rival)
    return done.loss - done.parts["loss_class"]


def test_every_extra_loss_that_settings_know_is_there() -> None:
    assert set(EXTRA_LOSSES) == set(get_args(ExtraName))


@pytest.mark.parametrize("name", ["sp", "rkd", "dkd", "dist"])
def test_an_extra_loss_is_what_its_rival_adds_to_the_cross_entropy(name: ExtraName) -> None:
    part = run("dpk", ExtraLoss(name=name, weight=0.5)).parts[f"loss_extra.{name}"]
    assert part.item() == pytest.approx(added(name).item(), rel=1e-5)
    assert part.item() > 0


def test_attention_is_transferred_on_the_maps_that_dpk_taps() -> None:
    part = run("dpk", ExtraLoss(name="at", weight=0.5)).parts["loss_extra.at"]
    assert 0 < part.item() < added("at").item()  # the rival has a third map


def test_the_total_is_dpk_s_and_the_weighted_extra_losses() -> None:
    plain = run("dpk")
    extra_losses = (ExtraLoss(name="at", weight=0.5), ExtraLoss(name="rkd", weight=2.0))
    done = run("dpk", *extra_losses)
    expected = plain.loss + sum(extra.weight * done.parts[f"loss_extra.{extra.name}"] for extra in extra_losses)
    assert done.loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert set(done.parts) == set(plain.parts) | {"loss_extra.at", "loss_extra.rkd"}


@pytest.mark.parametrize("name", get_args(ExtraName))
def test_the_student_learns_from_an_extra_loss(name: ExtraName) -> None:
    alone = DpkSettings(
        class_weight=0.0, logit_weight=0.0, feature_weight=0.0, extra_losses=(ExtraLoss(name=name, weight=1.0),)
    )
    method = make("dpk", alone)
    method(*batch(), STEP).loss.backward()
    first = next(method.student.parameters())
    assert first.grad is not None
    assert first.grad.any()


def test_a_warm_up_needs_the_length_of_the_training() -> None:
    with pytest.raises(ValueError, match="how many steps"):
        run("dpk", ExtraLoss(name="dkd", weight=1.0), step=replace(STEP, total_steps=None))
