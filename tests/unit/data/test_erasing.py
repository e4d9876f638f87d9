"""Random erasing covers one rectangle of the chosen pictures and nothing else."""

from __future__ import annotations

import torch
from torch import Tensor

from dpk_core.data.erasing import AREA, erase
from dpk_core.data.rows import BatchRows, whole_batch


def holes(pictures_BCHW: Tensor) -> list[tuple[int, int, int]]:
    """Height, width and number of the values that are 0 in each picture with any."""
    found = []
    for picture_CHW in pictures_BCHW:
        covered = (picture_CHW == 0).all(0)
        assert torch.equal(covered, (picture_CHW == 0).any(0))
        if covered.any():
            rows, columns = covered.nonzero().unbind(1)
            height, width = int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1
            found.append((height, width, int(covered.sum())))
    return found


def test_rectangles_of_the_chosen_sizes() -> None:
    found = holes(erase(torch.ones(500, 3, 40, 50), 0.25, 0, 0, whole_batch(500)))
    assert 90 < len(found) < 160
    for height, width, count in found:
        assert count == height * width
        assert 0.9 * AREA[0] < count / 2000 < 1.1 * AREA[1]
    assert max(count for _, _, count in found) > 400
    assert {width > height for height, width, _ in found} == {True, False}


def test_never_and_always() -> None:
    assert not holes(erase(torch.ones(50, 1, 8, 8), 0.0, 0, 0, whole_batch(50)))
    assert len(holes(erase(torch.ones(50, 1, 8, 8), 1.0, 0, 0, whole_batch(50)))) == 50


def test_seed_step_and_place_alone_decide() -> None:
    whole = torch.randn(40, 3, 16, 16)
    first = erase(whole, 0.5, 1, 2, whole_batch(40))
    torch.manual_seed(5)
    assert torch.equal(first, erase(whole, 0.5, 1, 2, whole_batch(40)))
    assert not torch.equal(first, erase(whole, 0.5, 1, 3, whole_batch(40)))
    assert not torch.equal(first, erase(whole, 0.5, 2, 2, whole_batch(40)))
    places = torch.tensor([30, 3, 17])
    assert torch.equal(first[places], erase(whole[places], 0.5, 1, 2, BatchRows(40, places)))
