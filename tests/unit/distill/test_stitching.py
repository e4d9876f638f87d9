"""Masks and stitching: whose token lands where."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dpk_core.distill.masking import draw_noise, split_tokens
from dpk_core.distill.stitching import stitch, take_given, take_kept

CPU = torch.device("cpu")


@st.composite
def splits(draw: st.DrawFn) -> tuple[int, int, int, int]:
    tokens = draw(st.integers(1, 24))
    return draw(st.integers(1, 5)), tokens, draw(st.integers(0, tokens)), draw(st.integers(0, 2**40))


def tagged(side: int, pictures: int, tokens: int) -> torch.Tensor:
    """Tokens that name their side, picture and position."""
    tags = torch.cartesian_prod(torch.arange(pictures), torch.arange(tokens)).view(pictures, tokens, 2)
    return torch.cat((torch.full((pictures, tokens, 1), side), tags), dim=2).float()


@settings(max_examples=80, deadline=None)
@given(case=splits())
def test_each_position_holds_its_own_token_from_the_right_side(case: tuple[int, int, int, int]) -> None:
    pictures, tokens, count, seed = case
    split = split_tokens(draw_noise(pictures, tokens, seed=seed, step=0, stage="last", device=CPU), count)
    student, teacher = tagged(0, pictures, tokens), tagged(1, pictures, tokens)
    hybrid = stitch(take_given(teacher, split), take_kept(student, split), split)
    assert torch.equal(hybrid, torch.where(split.mask_BN[:, :, None], teacher, student))
    assert torch.equal(split.mask_BN.sum(dim=1), torch.full((pictures,), count))


@settings(max_examples=20, deadline=None)
@given(case=splits())
def test_a_gradient_goes_back_to_the_token_it_came_from(case: tuple[int, int, int, int]) -> None:
    pictures, tokens, count, seed = case
    split = split_tokens(draw_noise(pictures, tokens, seed=seed, step=0, stage="last", device=CPU), count)
    student, teacher = (torch.zeros(pictures, tokens, 3, requires_grad=True) for _ in range(2))
    pulled = tagged(7, pictures, tokens)
    stitch(take_given(teacher, split), take_kept(student, split), split).backward(pulled)
    mask_BN1 = split.mask_BN[:, :, None]
    assert teacher.grad is not None
    assert student.grad is not None
    assert torch.equal(teacher.grad, torch.where(mask_BN1, pulled, 0.0))
    assert torch.equal(student.grad, torch.where(mask_BN1, 0.0, pulled))


def noise(seed: int = 1, step: int = 2, stage: str = "last") -> torch.Tensor:
    return draw_noise(16, 16, seed=seed, step=step, stage=stage, device=CPU)


def test_masks_depend_on_seed_step_and_stage_alone() -> None:
    torch.manual_seed(5)
    first = noise()
    torch.manual_seed(6)
    torch.rand(100)
    assert torch.equal(first, noise())
    for other in (noise(seed=2), noise(step=3), noise(stage="second_last")):
        assert not torch.equal(first, other)


def test_masks_move_no_global_random_state() -> None:
    before = torch.get_rng_state()
    split_tokens(noise(), 7)
    assert torch.equal(before, torch.get_rng_state())


def test_masks_differ_between_pictures_and_every_position_has_its_chance() -> None:
    masks = split_tokens(draw_noise(2000, 8, seed=0, step=0, stage="last", device=CPU), 2).mask_BN
    assert len(masks.unique(dim=0)) == 28
    assert masks.float().mean(dim=0).tolist() == pytest.approx([0.25] * 8, abs=0.05)
