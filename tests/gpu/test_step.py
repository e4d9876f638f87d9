"""One training step on a device: same numbers as on the CPU, CKA in full precision, no needless waiting."""

from __future__ import annotations

import copy
import warnings

import pytest
import torch
from torch import Tensor

from dpk_core.distill.build import METHODS, build_method
from dpk_core.distill.cka import unbiased_cka
from dpk_core.distill.method import Method, StepContext
from dpk_core.dpk_settings import DpkSettings, ShareSettings
from dpk_core.models.build import build_model
from dpk_core.recipes import recipe
from dpk_core.spec import MethodName, MethodSpec
from dpk_core.training.optimisers import make_optimisers

pytestmark = pytest.mark.gpu

LABELS = torch.arange(64) % 10
"""Of the training split that the batch is said to come from."""

FIXED = DpkSettings(share=ShareSettings(schedule="fixed"))
"""A share that rounding cannot move."""

SYNCHRONISATIONS = {"dpk": 1, "dpk_features_only": 1}
"""Of a step, by method; 0 for all others."""


def make(spec: MethodSpec, device: torch.device) -> Method:
    student = build_model("cifar/resnet8w4", classes=10, channels=1, seed=0).to(device)
    teacher = None
    if spec.name != "none":
        teacher = build_model("cifar/resnet8", classes=10, channels=1, seed=1).to(device)
    return build_method(
        spec, student=student, student_name="cifar/resnet8w4", teacher=teacher,
        teacher_name=None if teacher is None else "cifar/resnet8", picture_shape=(1, 8, 8), seed=5,
        training_labels=LABELS.to(device),
    )  # fmt: skip


def batch(device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures, labels and their places in the training split."""
    pictures = torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(9))
    return pictures.to(device), LABELS[:8].to(device), torch.arange(8, device=device)


def synchronisations(spec: MethodSpec, device: torch.device) -> list[str]:
    """What torch says of each wait for the device in the third of three steps, forward, backward and update."""
    method = make(spec, device)
    optimisers = make_optimisers(method, recipe("digits"), 10)
    pictures, labels, positions = batch(device)
    found: list[warnings.WarningMessage] = []
    for number in range(3):
        torch.cuda.synchronize(device)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                optimisers.prepare(number)
                step = StepContext(seed=3, step=number, total_steps=20, positions_B=positions)
                optimisers.add_gradients(method(pictures, labels, step).loss)
                optimisers.update()
            finally:
                torch.cuda.set_sync_debug_mode("default")
        found = caught
    return [str(each.message) for each in found if "synchronizing CUDA operation" in str(each.message)]


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_step_waits_for_the_device_once_at_most(name: MethodName, device: torch.device) -> None:
    found = synchronisations(MethodSpec(name=name), device)
    assert len(found) == SYNCHRONISATIONS.get(name, 0), found


def test_a_step_waits_for_nothing_where_the_share_lags(device: torch.device) -> None:
    lagging = MethodSpec(name="dpk", dpk=DpkSettings(share=ShareSettings(lag=True)))
    assert synchronisations(lagging, device) == []


@pytest.mark.parametrize("name", sorted(METHODS.keys() - {"crd"}))  # its negatives are drawn on the device
def test_a_step_is_the_same_as_on_the_cpu(name: MethodName, device: torch.device) -> None:
    """In double precision, which no device rounds to fewer digits on its own."""
    here = make(MethodSpec(name=name, dpk=FIXED if name.startswith("dpk") else None), torch.device("cpu")).double()
    there = copy.deepcopy(here).to(device)
    losses = []
    for method, place in ((here, torch.device("cpu")), (there, device)):
        pictures, labels, positions = batch(place)
        step = StepContext(seed=3, step=11, total_steps=20, positions_B=positions)
        losses.append(method(pictures.double(), labels, step).loss)
        losses[-1].backward()
    assert losses[1].item() == pytest.approx(losses[0].item(), rel=1e-5)
    for (parameter_name, ours), theirs in zip(here.student.named_parameters(), there.student.parameters(), strict=True):
        assert ours.grad is not None
        assert theirs.grad is not None
        near = 1e-4 * ours.grad.abs().max().item()
        torch.testing.assert_close(theirs.grad.cpu(), ours.grad, rtol=1e-4, atol=near, msg=parameter_name)


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
class TestCka:
    def maps(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Alike, and far from 0 as after a ReLU."""
        generator = torch.Generator().manual_seed(0)
        student = 5 + torch.randn(32, 16, 8, 8, generator=generator)
        teacher = student + torch.randn(32, 16, 8, 8, generator=generator)
        return student.to(device), teacher.to(device)

    def test_autocast_changes_no_digit(self, precision: torch.dtype, device: torch.device) -> None:
        plain = unbiased_cka(*self.maps(device))
        with torch.autocast("cuda", dtype=precision):
            found = unbiased_cka(*self.maps(device))
        assert found.dtype == torch.float64
        assert torch.equal(found, plain)

    def test_maps_in_low_precision_are_compared_in_float32(self, precision: torch.dtype, device: torch.device) -> None:
        student, teacher = (each.to(precision) for each in self.maps(device))
        with torch.autocast("cuda", dtype=precision):
            found = unbiased_cka(student, teacher)
        exact = unbiased_cka(student.cpu().double(), teacher.cpu().double())
        assert found.item() == pytest.approx(exact.item(), abs=1e-5)
