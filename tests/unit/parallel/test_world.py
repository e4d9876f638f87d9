"""What ranks say to each other."""

from __future__ import annotations

import torch

from dpk_core.parallel.world import ALONE, World

ROWS_6 = torch.arange(6.0)


def test_shares_are_even_and_in_order() -> None:
    assert World(rank=1, size=3).own(ROWS_6).tolist() == [2, 3]
    assert [World(rank=rank, size=2).leads for rank in range(2)] == [True, False]


def test_alone_everything_stays_as_it_is() -> None:
    assert ALONE.own(ROWS_6) is ALONE.gathered(ROWS_6) is ALONE.mean(ROWS_6) is ALONE.total(ROWS_6) is ROWS_6
    assert ALONE.any_of(True)
    assert not ALONE.any_of(False)
