"""Batch normalisation over all ranks is torch's over the whole batch."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import timm
import torch
from torch import nn

from dpk_core.parallel.world import ALONE
from tests.unit.parallel.ranks import Ranks
from tests.unit.parallel.work import normalised

SHAPE = (8, 3, 5, 4)

NORMS: dict[str, Callable[[], nn.Module]] = {
    "torch's": lambda: nn.BatchNorm2d(3),
    "without weights": lambda: nn.Sequential(nn.BatchNorm2d(3, affine=False), nn.Conv2d(3, 3, 1)),
    "without running statistics": lambda: nn.Sequential(
        nn.BatchNorm2d(3, track_running_stats=False), nn.BatchNorm2d(3)
    ),
    "by count": lambda: nn.BatchNorm2d(3, momentum=None),
    "with timm's activation": lambda: timm.layers.BatchNormAct2d(3),
    "at rest": lambda: nn.BatchNorm2d(3).eval(),
}


@pytest.mark.parametrize("make", NORMS.values(), ids=NORMS)
def test_two_ranks_normalise_as_one(ranks: Ranks, make: Callable[[], nn.Module]) -> None:
    generator = torch.Generator().manual_seed(0)
    # A mean far from 0 tells a careful sum of squares from a careless one.
    pictures, asked = (torch.randn(SHAPE, generator=generator) + shift for shift in (100, 0))
    norm = make()
    with torch.no_grad():
        for parameter in norm.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    both = ranks.do(normalised, norm, pictures, asked)
    one = normalised(ALONE, norm, pictures, asked)
    for name in ("result", "gradient"):
        torch.testing.assert_close(torch.cat([two[name] for two in both]), one[name], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(sum(two["weights"] for two in both), one["weights"], rtol=1e-4, atol=1e-4)
    for two in both:
        torch.testing.assert_close(two["running"], one["running"], rtol=1e-5, atol=1e-5)


def test_vectors_and_low_precision(ranks: Ranks) -> None:
    generator = torch.Generator().manual_seed(0)
    vectors, asked = (torch.randn((8, 3), generator=generator).bfloat16() for _ in range(2))
    one = normalised(ALONE, nn.BatchNorm1d(3), vectors, asked)
    both = ranks.do(normalised, nn.BatchNorm1d(3), vectors, asked)
    found = torch.cat([two["result"] for two in both])
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found, one["result"], rtol=0.02, atol=0.02)
