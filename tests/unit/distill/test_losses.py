"""The logit term."""

import pytest
import torch

from dpk_core.distill.losses import logit_loss


def logits(seed: int) -> torch.Tensor:
    return 5 * torch.randn(6, 10, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_is_exactly_zero_for_equal_logits(temperature: float) -> None:
    assert logit_loss(logits(0), logits(0), temperature).item() == 0.0


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_is_the_divergence_of_the_student_from_the_teacher(temperature: float) -> None:
    student, teacher = logits(0), logits(1)
    p, q = ((x.double() / temperature).softmax(dim=1) for x in (teacher, student))
    expected = (p * (p.log() - q.log())).sum(dim=1).mean() * temperature**2
    assert logit_loss(student, teacher, temperature).item() == pytest.approx(expected.item(), rel=1e-5)
