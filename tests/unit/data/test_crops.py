"""Random resized crops follow their draws alone, lie inside the picture and enlarge what they should."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dpk_core.data.crops import AREA, ATTEMPTS, RATIO, crop_boxes, draw_crops, resized_crops


def test_draws_follow_seed_and_step() -> None:
    torch.manual_seed(1)
    first = draw_crops(0, 3, 5)
    torch.manual_seed(2)
    assert first.shape == (5, ATTEMPTS, 4)
    assert np.array_equal(first, draw_crops(0, 3, 5))
    assert not np.array_equal(first, draw_crops(0, 4, 5))
    assert not np.array_equal(first, draw_crops(1, 3, 5))


@pytest.mark.parametrize(("height", "width"), [(224, 224), (375, 500), (500, 333), (8, 8)])
def test_boxes_lie_inside_with_allowed_area_and_ratio(height: int, width: int) -> None:
    left, top, widths, heights = crop_boxes(draw_crops(0, 0, 2000), height, width).T
    assert left.min() >= 0
    assert top.min() >= 0
    assert (left + widths).max() <= width
    assert (top + heights).max() <= height
    if min(height, width) > 100:
        area, ratio = widths * heights / (height * width), widths / heights
        assert area.min() == pytest.approx(AREA[0], abs=0.01)
        assert area.max() > 0.85
        assert ratio.min() == pytest.approx(RATIO[0], abs=0.03)
        assert ratio.max() == pytest.approx(RATIO[1], abs=0.03)
        # Positions: as often in the left half as in the right.
        assert np.mean(left + widths / 2 < width / 2) == pytest.approx(0.5, abs=0.05)


def test_where_none_fits_the_middle_is_taken() -> None:
    boxes = crop_boxes(draw_crops(0, 0, 50), 10, 400)
    assert [193, 0, 13, 10] in boxes.tolist()
    assert crop_boxes(draw_crops(0, 0, 50), 400, 10).tolist().count([0, 193, 10, 13]) > 40


def test_a_box_of_the_whole_changes_nothing() -> None:
    pictures = torch.randint(0, 256, (2, 3, 9, 9), dtype=torch.uint8)
    assert torch.equal(resized_crops(pictures, np.array([[0, 0, 9, 9]] * 2)), pictures)


def test_each_picture_gets_its_own_box_enlarged() -> None:
    pictures = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
    pictures[:, :, :4, 4:] = 200
    pictures[:, :, 4:, :4] = 100
    cut = resized_crops(pictures, np.array([[4, 0, 4, 4], [0, 4, 4, 4]]))
    # The innermost pixels: those at the border mix with their neighbours outside the box.
    assert cut[0, 0, 2:6, 2:6].unique().tolist() == [200]
    assert cut[1, 0, 2:6, 2:6].unique().tolist() == [100]
