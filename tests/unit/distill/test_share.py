"""The one rule that turns CKA into a share, in every case, and the schedules beside it."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dpk_core.distill.share import SCHEDULES, find_shares, given_tokens
from dpk_core.dpk_settings import CIFAR_SHARE, FOLLOWS_CKA, IMAGENET_SHARE, ShareSchedule, ShareSettings


def find(settings: ShareSettings, cka: float = 0.5, fraction: float = 0.0, seed: int = 0) -> tuple[float, bool]:
    generator = torch.Generator().manual_seed(seed)
    shares, fallbacks = find_shares(settings, torch.tensor([cka], dtype=torch.float64), fraction, generator)
    return shares.item(), bool(fallbacks.item())


@pytest.mark.parametrize(
    ("cka", "share", "fell_back"),
    [
        (0.5, 0.5, False),
        (0.11, 0.89, False),
        (0.8, 0.2, False),
        (0.95, 0.15, False),
        (0.999999, 0.15, False),
        (1.0, 0.9, True),
        (1.3, 0.9, True),
        (0.1, 0.9, True),
        (0.0, 0.9, True),
        (-0.4, 0.9, True),
        (math.nan, 0.9, True),
        (math.inf, 0.9, True),
        (-math.inf, 0.9, True),
    ],
)
def test_cifar_rule(cka: float, share: float, fell_back: bool) -> None:
    assert find(CIFAR_SHARE, cka) == (pytest.approx(share, abs=1e-12), fell_back)


@pytest.mark.parametrize(
    ("cka", "share"), [(0.95, 0.1), (0.85, 0.15), (0.15, 0.85), (math.nan, 0.8), (-1.0, 0.8), (1.0, 0.8)]
)
def test_imagenet_rule(cka: float, share: float) -> None:
    assert find(IMAGENET_SHARE, cka)[0] == pytest.approx(share, abs=1e-12)


@pytest.mark.parametrize(
    ("cka", "share", "fell_back"),
    [(0.5, 1 - 1 / (1 + math.exp(-0.5)), False), (-0.2, 0.9, True), (math.nan, 0.9, True), (1.0, 0.9, True)],
)
def test_sigmoid_of_cka_has_the_same_rule_for_what_it_cannot_follow(cka: float, share: float, fell_back: bool) -> None:
    assert find(ShareSettings(schedule="sigmoid_cka"), cka) == (pytest.approx(share, abs=1e-12), fell_back)


def test_the_floor_holds_under_the_sigmoid_too() -> None:
    assert find(ShareSettings(schedule="sigmoid_cka", floor=0.4), 0.9)[0] == 0.4


class TestWithoutCka:
    @pytest.mark.parametrize("schedule", sorted(set(SCHEDULES) - FOLLOWS_CKA))
    @pytest.mark.parametrize("cka", [math.nan, -1.0, 0.5, 2.0])
    def test_cka_changes_nothing_and_nothing_falls_back(self, schedule: ShareSchedule, cka: float) -> None:
        settings = ShareSettings(schedule=schedule)
        assert find(settings, cka, 0.3) == (find(settings, 0.5, 0.3)[0], False)

    def test_fixed(self) -> None:
        settings = ShareSettings(schedule="fixed", value=0.35)
        assert [find(settings, fraction=fraction)[0] for fraction in (0.0, 0.5, 1.0)] == [0.35] * 3

    def test_none(self) -> None:
        assert find(ShareSettings(schedule="none"))[0] == 0.0

    def test_step_goes_down_in_equal_levels(self) -> None:
        settings = ShareSettings(schedule="step", start=0.9, end=0.3, levels=4)
        shares = [find(settings, fraction=fraction)[0] for fraction in (0.0, 0.24, 0.25, 0.5, 0.75, 1.0)]
        assert shares == pytest.approx([0.9, 0.9, 0.7, 0.5, 0.3, 0.3])

    def test_exponential_falls_by_one_factor(self) -> None:
        settings = ShareSettings(schedule="exponential", start=0.8, end=0.2)
        shares = [find(settings, fraction=fraction)[0] for fraction in (0.0, 0.5, 1.0)]
        assert shares == pytest.approx([0.8, 0.4, 0.2])

    def test_cosine_is_half_way_down_in_the_middle_and_flat_at_the_ends(self) -> None:
        settings = ShareSettings(schedule="cosine", start=0.9, end=0.1)
        shares = [find(settings, fraction=fraction)[0] for fraction in (0.0, 0.25, 0.5, 1.0)]
        assert shares == pytest.approx([0.9, 0.5 + 0.4 * math.sqrt(0.5), 0.5, 0.1])

    def test_a_schedule_may_rise(self) -> None:
        shares = [
            find(ShareSettings(schedule="cosine", start=0.1, end=0.9), fraction=f / 10)[0] for f in range(11)
        ]  # fmt: skip
        assert all(later > earlier for earlier, later in pairwise(shares))

    def test_random_is_uniform_between_its_ends_and_new_for_each_stage_and_generator(self) -> None:
        settings = ShareSettings(schedule="random", start=0.8, end=0.2)
        shares, _ = find_shares(settings, torch.zeros(4000), 0.0, torch.Generator().manual_seed(0))
        assert 0.2 <= shares.min() < 0.21
        assert 0.79 < shares.max() <= 0.8
        assert shares.mean().item() == pytest.approx(0.5, abs=0.02)
        assert shares[0] != shares[1]
        assert find(settings, seed=1) == find(settings, seed=1) != find(settings, seed=2)


@given(
    schedule=st.sampled_from(sorted(SCHEDULES)), cka=st.floats(), fraction=st.floats(0, 1), start=st.floats(0.01, 1),
    end=st.floats(0.01, 1), levels=st.integers(2, 9),
)  # fmt: skip
def test_a_share_is_always_a_share(
    schedule: ShareSchedule, cka: float, fraction: float, start: float, end: float, levels: int
) -> None:
    share, _ = find(ShareSettings(schedule=schedule, start=start, end=end, levels=levels), cka, fraction)
    assert 0 <= share <= 1 + 1e-12


def test_carries_no_gradient() -> None:
    shares, _ = find_shares(CIFAR_SHARE, torch.tensor([0.5], requires_grad=True), 0.0, torch.Generator())
    assert not shares.requires_grad


@pytest.mark.parametrize(
    ("share", "tokens", "given"),
    [(0.9, 10, 9), (0.15, 64, 9), (0.5, 5, 2), (0.0, 9, 0), (1.0, 9, 9), (0.15, 4, 2), (0.15, 9, 2), (0.15, 2, 1)],
)
def test_given_tokens_are_rounded_down_to_two_at_least(share: float, tokens: int, given: int) -> None:
    assert given_tokens(CIFAR_SHARE, torch.tensor([share], dtype=torch.float64), [tokens]).tolist() == [given]


def test_on_imagenet_four_at_least() -> None:
    assert given_tokens(IMAGENET_SHARE, torch.tensor([0.1, 0.1], dtype=torch.float64), [9, 4]).tolist() == [4, 2]


def test_fallback_of_nine_tenths_gives_nine_of_ten_tokens() -> None:
    share = find(CIFAR_SHARE, math.nan)[0]
    assert given_tokens(CIFAR_SHARE, torch.tensor([share], dtype=torch.float64), [10]).tolist() == [9]
