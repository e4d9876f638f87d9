"""What the commands print: the leaderboard and the words around it; readable at 80 columns, with and without colour."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from service.selection_jobs.schemas import Leaderboard, Row, Summary
from service.trust_wording import duel_sentences, rival_lines, stamp_sentence
from service.wording import (
    NOTHING,
    chance,
    correlation_sentences,
    count,
    duration,
    headline,
    ledger_sentence,
    odds,
    percent,
    point_bounds,
    points,
    preparation_sentence,
    round_sentences,
)

WIDE = 120
"""Columns from which the table also shows parameters, expectation and intervals."""


def print_leaderboard(console: Console, board: Leaderboard) -> None:
    """The table, the verdict, the correlations and the compute spent."""
    console.print(leaderboard_table(board, wide=console.width >= WIDE))
    for row in board.rows:
        if row.status == "failed" and row.reason:
            say(console, f"{row.label} failed: {row.reason}")
    console.print()
    console.print(Text(headline(board), style="bold"))
    if board.job.state in ("running", "finished") and (sure := odds(board.verdict)):
        say(console, sure)
    for sentence in correlation_sentences(board.correlations):
        say(console, sentence)
    if prepared := preparation_sentence(board.rows):
        say(console, prepared)
    say(console, ledger_sentence(board.ledger))
    console.print()
    if board.rounds:
        console.print(Text("Who trained, and why", style="italic"))
        for sentence in round_sentences(board.rounds):
            say(console, sentence)
        console.print()
    console.print(rivals_table(board, wide=console.width >= WIDE))
    say(console, " ".join(duel_sentences(board.trust)))
    say(console, board.trust.note)
    say(console, stamp_sentence(board.trust))


def say(console: Console, sentence: str, *, whole: bool = False) -> None:
    """One sentence as it is: names in it are no markup. Broken into lines on a terminal only, and never if `whole`."""
    console.print(Text(sentence), soft_wrap=whole or not console.is_terminal)


def leaderboard_table(board: Leaderboard, *, wide: bool) -> Table:
    """Best first. Student accuracies in percent, with the standard deviation over the seeds."""
    request = board.job.request
    title = Text(f"{request.student} on {request.dataset}, {request.method.upper()}, accuracies in %")
    guessed = any(row.full is None and row.expected is not None for row in board.rows)
    caption = "best: chance of being the best teacher. Ranked by expected full accuracy"
    caption += "; in brackets where it was not trained." if guessed else "."
    table = Table(
        title=title,
        title_justify="left",
        caption=caption,
        caption_justify="left",
        box=None,
        padding=(0, 2, 0, 0),
        header_style="bold",
    )
    table.add_column("#", justify="right")
    table.add_column("teacher", overflow="fold")
    if wide:
        table.add_column("params", justify="right")
    for name in ("its", "best", "full"):
        table.add_column(name, justify="right", no_wrap=True)
    if wide:
        table.add_column("expected", justify="right", no_wrap=True)
    table.add_column("gain", justify="right", no_wrap=True)
    table.add_column("time", justify="right", no_wrap=True)
    table.add_column("status", overflow="fold")
    for row in board.rows:
        best = board.verdict is not None and row.teacher is not None and row.teacher == board.verdict.best
        table.add_row(*(Text(cell) for cell in _cells(row, wide=wide)), style="bold green" if best else None)
    return table


def rivals_table(board: Leaderboard, *, wide: bool) -> Table:
    """The probe and every cheaper rule: its pick, whether it is the winner, what it would have cost, and how much more
    than the probe."""
    table = Table(
        title=Text("Would a cheaper rule have done? Regret in points"), title_justify="left",
        caption="to probe: lost beyond what the probe lost. right: how often its pick was the winner, all jobs.",
        caption_justify="left", box=None, padding=(0, 2, 0, 0), header_style="bold",
    )  # fmt: skip
    for name in ("rule", "picks"):
        table.add_column(name, overflow="fold")
    for name in ("winner", "regret", "to probe", "right", *(["to probe, all jobs"] if wide else [])):
        table.add_column(name, justify="right", no_wrap=True)
    for line in rival_lines(board.trust):
        cells = [line.rule, line.picks, line.winner, line.regret, line.duel, line.record]
        cells += [line.duels] if wide else []
        table.add_row(*map(Text, cells), style="bold" if line.is_probe else None)
    return table


def _cells(row: Row, *, wide: bool) -> list[str]:
    gain = NOTHING if row.gain is None else points(row.gain.value)
    cells = [NOTHING if row.rank is None else str(row.rank), row.label]
    cells += [count(row.teacher_parameters)] if wide else []
    cells += [percent(row.teacher_accuracy).rstrip("%"), chance(row.chance), _full(row)]
    if wide:
        cells.append(percent(row.expected.value if row.expected else None).rstrip("%"))
        gain += f" ({point_bounds(row.gain)})" if row.gain else ""
    return [*cells, gain, duration(row.seconds).replace(" min", "m").replace(" s", "s"), row.status.replace("_", " ")]


def _full(row: Row) -> str:
    if row.full is None and row.expected is not None:
        return f"({100 * row.expected.value:.1f})"
    return _spread(row.full)


def _spread(summary: Summary | None) -> str:
    if summary is None:
        return NOTHING
    return f"{100 * summary.mean:.2f}" + ("" if summary.sd is None else f" ±{100 * summary.sd:.2f}")
