"""The one rule that turns CKA into a share, in every case."""

import math

import pytest
import torch

from dpk_core.distill.share import CIFAR_SHARE, IMAGENET_SHARE, given_tokens


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
    found, fallback = CIFAR_SHARE(torch.tensor(cka, dtype=torch.float64))
    assert found.item() == pytest.approx(share, abs=1e-12)
    assert fallback.item() is fell_back


@pytest.mark.parametrize(
    ("cka", "share"), [(0.95, 0.1), (0.85, 0.15), (0.15, 0.85), (math.nan, 0.8), (-1.0, 0.8), (1.0, 0.8)]
)
def test_imagenet_rule(cka: float, share: float) -> None:
    found, _ = IMAGENET_SHARE(torch.tensor(cka, dtype=torch.float64))
    assert found.item() == pytest.approx(share, abs=1e-12)


def test_carries_no_gradient() -> None:
    share, _ = CIFAR_SHARE(torch.tensor(0.5, requires_grad=True))
    assert not share.requires_grad


@pytest.mark.parametrize(
    ("share", "tokens", "given"), [(0.9, 10, 9), (0.15, 4, 0), (0.15, 64, 9), (0.5, 5, 2), (0.0, 9, 0), (1.0, 9, 9)]
)
def test_given_tokens_are_rounded_down(share: float, tokens: int, given: int) -> None:
    assert given_tokens(share, tokens) == given


def test_fallback_of_nine_tenths_gives_nine_of_ten_tokens() -> None:
    share, _ = CIFAR_SHARE(torch.tensor(math.nan))
    assert given_tokens(share.item(), 10) == 9
