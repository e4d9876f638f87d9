"""Two jobs side by side: where their requests differ, and what each says of the same teachers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from service.presentation import words
from service.presentation.metric_words import MetricWords, words_of
from service.presentation.numbers import chance, gain_value, listed
from service.wire.boards import Leaderboard, Row


def comparison(left: Leaderboard, right: Leaderboard) -> dict[str, object]:
    """What the template shows."""
    return {
        "jobs": (left.job, right.job),
        "headlines": (words.board_headline(left), words.board_headline(right)),
        "differences": differences(left, right),
        "rows": rows(left, right),
        "metric": listed(list(dict.fromkeys(board.metric.name for board in (left, right)))),
        "points": listed(list(dict.fromkeys(words_of(board.metric).points for board in (left, right)))),
        "alike": left.trust.stamp == right.trust.stamp,
    }


def differences(left: Leaderboard, right: Leaderboard) -> list[tuple[str, str, str]]:
    """Fields of the requests with other values, by dotted name, and what defaults came to."""
    ours, theirs = (dict(_flat(board.job.request.model_dump(mode="json"), "")) for board in (left, right))
    for found, board in ((ours, left), (theirs, right)):
        found["data (fingerprint)"] = board.setup.data_fingerprint.partition("/")[0][:19]
        found["recipe (used)"] = board.setup.recipe
        found["epochs (used)"] = str(board.setup.epochs)
    names = dict.fromkeys((*ours, *theirs))
    return [(name, ours.get(name, "–"), theirs.get(name, "–")) for name in names if ours.get(name) != theirs.get(name)]


def _flat(value: object, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _flat(each, f"{name}.{key}" if name else key)
    elif isinstance(value, list):
        yield name, ", ".join(_text(each) for each in value) or "–"
    else:
        yield name, _text(value)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return str(value.get("model", value.get("name", value)))
    return "–" if value is None else str(value)


def rows(left: Leaderboard, right: Leaderboard) -> list[tuple[str, tuple[dict[str, str], ...]]]:
    """Each teacher's line in both, those of the first in its order and then those of the second alone; no teacher
    last."""
    ours, theirs = ({row.teacher: row for row in board.rows} for board in (left, right))
    order = [*(each for each in dict.fromkeys((*ours, *theirs)) if each is not None), None]
    labels = {row.teacher: row.label for row in (*right.rows, *left.rows)}
    sides = (ours, words_of(left.metric)), (theirs, words_of(right.metric))
    return [(labels[each], tuple(_cells(found.get(each), metric) for found, metric in sides)) for each in order]


def _cells(row: Row | None, metric: MetricWords) -> dict[str, str]:
    if row is None:
        return {}
    return {
        "Rank": "–" if row.rank is None else str(row.rank),
        "Best with": chance(row.chance),
        "Student": metric.score(row.expected.value if row.expected else row.full.mean if row.full else None),
        "Gain": "–" if row.gain is None else gain_value(row.gain),
        "Status": row.status.replace("_", " "),
    }
