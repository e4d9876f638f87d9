"""CKA over several steps: the ratio of sums, kept in checkpoints, and far less noisy than that of a small batch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dpk_core.distill.cka import cka_of_terms, hsic_terms, unbiased_cka
from dpk_core.distill.running_cka import RunningCka


def batches(count: int, pictures: int = 4) -> list[tuple[Tensor, Tensor]]:
    """Maps of a student and a teacher that share a part of what they see."""
    generator = torch.Generator().manual_seed(0)
    shared = [torch.randn(pictures, 8, 3, 3, generator=generator) for _ in range(count)]
    own = [torch.randn(2, pictures, 8, 3, 3, generator=generator) for _ in range(count)]
    return [(each + one[0], each + one[1]) for each, one in zip(shared, own, strict=True)]


def test_the_first_step_is_plain_cka() -> None:
    ((student, teacher),) = batches(1, 12)
    assert RunningCka(32)(student, teacher) == unbiased_cka(student, teacher)


def test_it_is_the_ratio_of_the_last_steps_sums() -> None:
    running, seen = RunningCka(steps=3), batches(5)
    found = [running(*each) for each in seen]
    expected = cka_of_terms(torch.stack([hsic_terms(*each) for each in seen[2:]]).sum(0))
    assert found[-1].item() == pytest.approx(expected.item(), rel=1e-12)


def test_it_goes_on_from_a_checkpoint_bit_for_bit() -> None:
    whole, first, second = RunningCka(steps=4), RunningCka(steps=4), RunningCka(steps=4)
    seen = batches(9)
    expected = [whole(*each) for each in seen]
    for each in seen[:6]:
        first(*each)
    second.load_state_dict(first.state_dict())
    assert torch.equal(torch.stack([second(*each) for each in seen[6:]]), torch.stack(expected[6:]))


def test_it_is_far_less_noisy_than_cka_of_small_batches() -> None:
    running, seen = RunningCka(32), batches(96)
    single = torch.stack([unbiased_cka(*each) for each in seen])
    summed = torch.stack([running(*each) for each in seen])[32:]
    assert single[~single.isnan()].std() > 3 * summed.std()
    assert not summed.isnan().any()
    large = batches(1, 400)[0]
    assert summed.mean().item() == pytest.approx(unbiased_cka(*large).item(), abs=0.1)


def test_three_pictures_are_too_few() -> None:
    with pytest.raises(ValueError, match="at least 4 pictures"):
        RunningCka(32)(*batches(1, 3)[0])
