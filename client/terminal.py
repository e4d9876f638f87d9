"""What the commands print: the leaderboard and the words around it; readable at 80 columns, with and without colour."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from service.presentation.decision_words import decision_sentences
from service.presentation.metric_words import words_of
from service.presentation.numbers import NOTHING, chance, count, duration, gain_bounds, gain_value, listed, percent
from service.presentation.repeat_words import environment_line, repeat_sentence
from service.presentation.setting_words import method_label
from service.presentation.trust_words import filled_cells, is_judged, paired_sentences, rival_lines, stamp_sentence
from service.presentation.words import (
    board_headline,
    filled_columns,
    known_correlations,
    ledger_sentence,
    odds,
    preparation_sentence,
)
from service.wire.boards import Leaderboard, Row, Summary

WIDE = 120
"""Columns from which the table also shows parameters, expectation and intervals."""


def print_leaderboard(console: Console, board: Leaderboard, *, explain: bool = False) -> None:
    """The verdict, the table and the compute spent; `explain` adds who trained and why, correlations and rules."""
    request = board.job.request
    scores = (
        f", {board.metric.name} in {board.metric.unit}"
        if any(row.teacher_accuracy is not None for row in board.rows)
        else ""
    )
    title = f"{request.student} on {request.dataset}, {method_label(request.method)}{scores}"
    console.print(Text(title, style="italic"))
    console.print(leaderboard_table(board, wide=console.width >= WIDE))
    console.print()
    console.print(Text(board_headline(board), style="bold"))
    for sentence in _row_sentences(board.rows, warnings_only=not explain):
        say(console, sentence)
    for caution in [] if board.verdict is None else board.verdict.cautions:
        console.print(Text(f"Caution: {caution}", style="red"), soft_wrap=not console.is_terminal)
    for notice in board.job.notices:
        say(console, notice.message)
    if board.job.state in ("running", "finished") and (sure := odds(board.verdict, words_of(board.metric))):
        say(console, sure)
    if spent := ledger_sentence(board.ledger):
        say(console, spent)
    if explain:
        _explain(console, board)


def _explain(console: Console, board: Leaderboard) -> None:
    for sentence in known_correlations(board):
        say(console, sentence)
    if prepared := preparation_sentence(board.rows):
        say(console, prepared)
    console.print()
    if board.decisions:
        console.print(Text("Who trained, and why", style="italic"))
        for sentence in decision_sentences(board.decisions):
            say(console, sentence)
        console.print()
    if is_judged(board.trust):
        console.print(rivals_table(board, wide=console.width >= WIDE))
        say(console, " ".join(paired_sentences(board.trust)))
        say(console, board.trust.note)
    say(console, stamp_sentence(board.trust))
    for each in board.setup.environments:
        say(console, f"Trained on {environment_line(each)}.")
    say(console, repeat_sentence(board.job.id), whole=True)


def _row_sentences(rows: Sequence[Row], *, warnings_only: bool) -> list[str]:
    """Why rows failed and what they were noticed for, each once with all of its rows."""
    found: dict[str, list[str]] = {}
    for row in rows:
        reasons = [row.reason] if row.status == "failed" and row.reason else []
        messages = [each.message for each in row.notices if each.level == "warning" or not warnings_only]
        for sentence in [*reasons, *messages]:
            found.setdefault(sentence, []).append(row.label)
    return [f"{listed(labels)}: {sentence}" for sentence, labels in found.items()]


def say(console: Console, sentence: str, *, whole: bool = False) -> None:
    """One sentence as it is: names in it are no markup. Broken into lines on a terminal only, and never if `whole`."""
    console.print(Text(sentence), soft_wrap=whole or not console.is_terminal)


def leaderboard_table(board: Leaderboard, *, wide: bool) -> Table:
    """Best first. Student scores in points, with the standard deviation over the seeds. Columns in which no row
    has a value are left out."""
    filled = filled_columns(board.rows) | _ALWAYS
    table = Table(
        caption=_caption(board, filled), caption_justify="left", box=None, padding=(0, 2, 0, 0),
        header_style="bold",
    )  # fmt: skip
    titles, rows = leaderboard_cells(board, wide=wide)
    _add_columns(table, titles)
    for teacher, cells in rows:
        best = board.verdict is not None and teacher is not None and teacher == board.verdict.best
        table.add_row(*map(Text, cells), style="bold green" if best else None)
    return table


def leaderboard_cells(board: Leaderboard, *, wide: bool) -> tuple[list[str], list[tuple[str | None, list[str]]]]:
    """The columns' titles, and for each row its teacher and its cells."""
    filled = filled_columns(board.rows) | _ALWAYS
    shown = {name: cell for name, (needs, only_wide, cell) in _COLUMNS.items() if needs & filled and wide >= only_wide}
    titles = [f"teacher\n{words_of(board.metric).name}" if name == _TEACHER_SCORE else name for name in shown]
    return titles, [(row.teacher, [cell(row, wide) for cell in shown.values()]) for row in board.rows]


def _caption(board: Leaderboard, filled: frozenset[str]) -> str | None:
    if "chance" not in filled:
        return None
    guessed = any(row.full is None and row.expected is not None for row in board.rows)
    caption = "best: chance of being the best teacher"
    return caption + ("; in brackets: expected, not trained fully." if guessed else ".")


def _add_columns(table: Table, names: Sequence[str]) -> None:
    for name in names:
        if name in ("teacher", "status", "rule", "picks"):
            table.add_column(name, overflow="fold")
        else:
            table.add_column(name, justify="right", no_wrap=True)


def rivals_table(board: Leaderboard, *, wide: bool) -> Table:
    """The probe and every cheaper rule: its pick, whether it is the winner, what it would have cost, and how much more
    than the probe."""
    table = Table(
        title=Text(f"Would a cheaper rule have done? Regret in {words_of(board.metric).points}"), title_justify="left",
        caption="hit rate: how often its pick was the winner, all jobs.",
        caption_justify="left", box=None, padding=(0, 2, 0, 0), header_style="bold",
    )  # fmt: skip
    lines = rival_lines(board.trust)
    filled = filled_cells(lines) | {"rule"}
    names = {
        "rule": "rule", "picks": "picks", "winner": "winner", "regret": "regret", "paired": "regret −\nprobe's",
        "record": "hit rate",
        **({"paired_all": "regret − probe's,\nall jobs"} if wide else {}),
    }  # fmt: skip
    shown = {cell: name for cell, name in names.items() if cell in filled}
    _add_columns(table, list(shown.values()))
    for line in lines:
        table.add_row(*(Text(getattr(line, cell)) for cell in shown), style="bold" if line.is_probe else None)
    return table


def _gain(row: Row, wide: bool) -> str:
    if row.gain is None:
        return NOTHING
    return gain_value(row.gain) + (f" ({gain_bounds(row.gain)})" if wide else "")


def _full(row: Row) -> str:
    if row.full is None and row.expected is not None:
        return f"({100 * row.expected.value:.1f})"
    return _spread(row.full)


def _spread(summary: Summary | None) -> str:
    if summary is None:
        return NOTHING
    return f"{100 * summary.mean:.2f}" + ("" if summary.sd is None else f" ±{100 * summary.sd:.2f}")


Cell = Callable[[Row, bool], str]
_ALWAYS = frozenset({"always"})
_TEACHER_SCORE = "teacher accuracy"
"""Named by the metric where it is shown."""
_COLUMNS: dict[str, tuple[frozenset[str], bool, Cell]] = {
    "#": (frozenset({"rank"}), False, lambda row, _: NOTHING if row.rank is None else str(row.rank)),
    "teacher": (_ALWAYS, False, lambda row, _: row.label),
    "params": (frozenset({"parameters"}), True, lambda row, _: count(row.teacher_parameters)),
    _TEACHER_SCORE: (frozenset({"teacher_accuracy"}), False, lambda row, _: percent(row.teacher_accuracy).rstrip("%")),
    "best": (frozenset({"chance"}), False, lambda row, _: chance(row.chance)),
    "student": (frozenset({"full", "expected"}), False, lambda row, _: _full(row)),
    "expected": (
        frozenset({"expected"}), True, lambda row, _: percent(row.expected.value if row.expected else None).rstrip("%"),
    ),
    "gain": (frozenset({"gain"}), False, _gain),
    "time": (frozenset({"time"}), False, lambda row, _: duration(row.seconds).replace(" min", "m").replace(" s", "s")),
    "status": (_ALWAYS, False, lambda row, _: row.status.replace("_", " ")),
}  # fmt: skip
"""Each column with the values of which it needs one, whether it is for wide terminals only, and its cells."""
