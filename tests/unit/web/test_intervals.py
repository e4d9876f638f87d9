"""Intervals and brackets in the leaderboard."""

from __future__ import annotations

import pytest

from service.web.intervals import WIDTH, brackets, expected_intervals
from tests.unit.web import sample


def test_intervals_share_a_scale_and_show_where_no_teacher_is() -> None:
    rows = sample.leaderboard("finished").rows
    drawn = expected_intervals(rows)
    assert set(drawn) == {row.candidate_id for row in rows}
    assert all(0 < each.low < each.value < each.high < WIDTH for each in drawn.values())
    bare = next(row for row in rows if row.teacher is None)
    assert {each.reference for each in drawn.values()} == {drawn[bare.candidate_id].value}
    by_rank = [drawn[row.candidate_id].value for row in rows]
    assert by_rank == sorted(by_rank, reverse=True)


def test_a_single_interval_is_not_drawn() -> None:
    rows = sample.leaderboard("finished").rows
    alone = [row if row.rank == 1 else row.model_copy(update={"expected": None}) for row in rows]
    assert expected_intervals(alone) == {}


@pytest.mark.parametrize(
    ("tied", "found"),
    [
        ([], {}),
        (["cifar/resnet14"], {"resnet20": "first", "resnet14": "last"}),
        (["cifar/resnet8x4", "cifar/resnet14"], {"resnet20": "first", "resnet8x4": "middle", "resnet14": "last"}),
    ],
)
def test_the_bracket_holds_the_tied_teachers(tied: list[str], found: dict[str, str]) -> None:
    board = sample.leaderboard("finished")
    assert board.verdict is not None
    labels = {row.candidate_id: row.label for row in board.rows}
    held = brackets(board.rows, board.verdict.model_copy(update={"tied": tied}))
    assert {labels[identity]: place for identity, place in held.items()} == found


def test_without_a_verdict_there_is_no_bracket() -> None:
    assert brackets(sample.leaderboard("finished").rows, None) == {}
