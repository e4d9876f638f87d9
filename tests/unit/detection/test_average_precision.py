"""Average precision by two libraries, which agree to 1e-6 also at the edges."""

from __future__ import annotations

import math
from dataclasses import astuple, replace

import numpy as np
import pytest

from dpk_core.detection.average_precision import AveragePrecision, average_precision, refereed
from dpk_core.detection.detections import Detections, no_detections
from dpk_core.detection.matches import match, weighted_ap
from tests.unit.detection.made_up import made_up_detections, made_up_split


def numbers(found: AveragePrecision) -> list[float]:
    *scores, by_class = astuple(found)
    return [*scores, *by_class]


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("crowd", [0.0, 0.2])
def test_both_evaluators_and_our_own_sum_agree(ties: bool, crowd: float) -> None:
    truth = made_up_split(3, 25, 3, crowd)
    found = made_up_detections(4, truth, 3, ties=ties)
    fast = average_precision(truth, found, 3)
    assert numbers(fast) == pytest.approx(numbers(refereed(truth, found, 3)), abs=1e-6, nan_ok=True)
    assert 0.1 < fast.ap < 0.9
    assert fast.ap < fast.ap50
    assert weighted_ap(match(truth, found, 3), np.ones(25)) == pytest.approx(fast.ap, abs=1e-9)


def test_perfect_detections() -> None:
    truth = made_up_split(5, 10, 2)
    count = len(truth.boxes_M4)
    found = Detections(
        pictures_D=truth.pictures_M, boxes_D4=truth.boxes_M4.astype(float), classes_D=truth.classes_M.astype(np.int64),
        scores_D=np.linspace(1, 0.5, count),
    )  # fmt: skip
    assert average_precision(truth, found, 2).ap == pytest.approx(1)
    assert refereed(truth, found, 2).ap == pytest.approx(1)
    missed = replace(found, classes_D=1 - found.classes_D)
    assert average_precision(truth, missed, 2).ap == refereed(truth, missed, 2).ap == 0


def test_no_detections_are_none_right_for_both() -> None:
    truth = made_up_split(6, 8, 2)
    for found in (average_precision(truth, no_detections(), 2), refereed(truth, no_detections(), 2)):
        assert (found.ap, found.ap50, found.by_class_C) == (0, 0, (0, 0))
    assert weighted_ap(match(truth, no_detections(), 2), np.ones(8)) == 0


def test_detections_without_a_finite_score_or_box_are_none_for_both() -> None:
    truth = made_up_split(7, 12, 2)
    found = made_up_detections(8, truth, 2)
    scores_D, boxes_D4 = found.scores_D.copy(), found.boxes_D4.copy()
    scores_D[::3] = np.nan
    boxes_D4[1::7, 2] = np.inf
    broken = replace(found, scores_D=scores_D, boxes_D4=boxes_D4)
    left = average_precision(truth, broken.finite(), 2)
    assert len(broken.finite()) < 0.7 * len(broken)
    for each in (average_precision(truth, broken, 2), refereed(truth, broken, 2)):
        assert numbers(each) == pytest.approx(numbers(left), abs=1e-9, nan_ok=True)
    nothing = replace(found, scores_D=np.full(len(found), np.nan))
    assert average_precision(truth, nothing, 2).ap == refereed(truth, nothing, 2).ap == 0


def test_a_class_and_a_size_without_boxes_have_no_score() -> None:
    truth = made_up_split(9, 10, 2)
    truth = replace(truth, classes_M=np.zeros_like(truth.classes_M), areas_M=np.full(len(truth.areas_M), 2000.0))
    found = made_up_detections(10, truth, 3)
    for each in (average_precision(truth, found, 3), refereed(truth, found, 3)):
        assert math.isnan(each.small)
        assert math.isnan(each.large)
        assert math.isnan(each.by_class_C[1])
        assert each.medium > 0
        assert each.ap == pytest.approx(each.by_class_C[0])


def test_an_area_that_no_range_holds_is_that_of_the_box() -> None:
    """COCO's evaluators ignore the object otherwise, in every score, and training does not."""
    truth = made_up_split(15, 12, 2)
    sides_M2 = truth.boxes_M4[:, 2:].astype(np.float64) - truth.boxes_M4[:, :2]
    found = made_up_detections(16, truth, 2)
    wanted = numbers(refereed(replace(truth, areas_M=sides_M2.prod(1)), found, 2))
    for area in (-1.0, np.nan, np.inf):
        broken = replace(truth, areas_M=np.full(len(truth.areas_M), area))
        assert numbers(refereed(broken, found, 2)) == pytest.approx(wanted, abs=1e-9, nan_ok=True)
        assert numbers(average_precision(broken, found, 2)) == pytest.approx(wanted, abs=1e-6, nan_ok=True)


def test_only_a_hundred_detections_of_a_class_in_a_picture_are_read() -> None:
    truth = made_up_split(11, 1, 1, most=40)
    found = made_up_detections(12, truth, 1)
    many = Detections(
        pictures_D=np.zeros(150, np.int64), boxes_D4=np.tile([0.0, 0, 2, 2], (150, 1)),
        classes_D=np.zeros(150, np.int64), scores_D=np.ones(150),
    )  # fmt: skip
    both = Detections(
        pictures_D=np.concatenate([many.pictures_D, found.pictures_D]),
        boxes_D4=np.concatenate([many.boxes_D4, found.boxes_D4]),
        classes_D=np.concatenate([many.classes_D, found.classes_D]),
        scores_D=np.concatenate([many.scores_D, found.scores_D * 0.9]),
    )
    assert average_precision(truth, found, 1).ap > 0
    assert average_precision(truth, both, 1).ap == refereed(truth, both, 1).ap == 0
    assert weighted_ap(match(truth, both, 1), np.ones(1)) == 0


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    truth = made_up_split(13, 3, 1)
    found = made_up_detections(14, truth, 1)
    average_precision(truth, found, 1)
    refereed(truth, found, 1)
    match(truth, found, 1)
    assert capfd.readouterr() == ("", "")
