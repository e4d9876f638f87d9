"""Averages over a map agree with the library's, whose gradient cannot be reproduced on a GPU."""

import pytest
import torch
import torch.nn.functional as F

from dpk_core.distill.pooling import average_pool, pooled_vector


@pytest.mark.parametrize("side", [(1, 1), (2, 2), (4, 4), (3, 5), (7, 6)])
@pytest.mark.parametrize("size", [(7, 6), (8, 8), (16, 9)])
def test_agrees_with_the_library(size: tuple[int, int], side: tuple[int, int]) -> None:
    x = torch.randn(2, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(average_pool(x, *side), F.adaptive_avg_pool2d(x, side))


def test_a_map_of_that_size_is_left_alone() -> None:
    x = torch.zeros(1, 2, 3, 4)
    assert average_pool(x, 3, 4) is x


def test_pooled_vector_is_the_mean_over_positions() -> None:
    x = torch.arange(12.0).view(1, 2, 2, 3)
    assert pooled_vector(x).tolist() == [[2.5, 8.5]]
