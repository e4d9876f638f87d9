"""What the templates of a job's page are given."""

from __future__ import annotations

from dpk_core.catalogue.detection.samples import LEAST_SCORE
from service.presentation import trust_words, words
from service.presentation.metric_words import words_of
from service.scheduling.states import JobState
from service.web.boxes import MOST_NAMED, box_colours
from service.web.charts import Figure
from service.web.figures import gradient_curves, learning_curve, share_curves, teacher_curves
from service.web.intervals import brackets, expected_intervals
from service.web.ledger import device_lines, ledger_figure
from service.web.palette import paints
from service.web.scatter import scatters
from service.wire.boards import Leaderboard, SeedResult

LIVE_STATES: frozenset[JobState] = frozenset({"queued", "running", "paused", "cancelling"})
"""States in which a page goes on changing."""


def job_page_context(board: Leaderboard, root: str) -> dict[str, object]:
    """Everything that the page, its live part and the report show."""
    return {
        "board": board,
        "root": root,
        "live": board.job.state in LIVE_STATES,
        "standalone": False,
        **_verdict(board),
        **_table(board),
        **_charts(board),
        **_trust(board),
        **_samples(board),
    }


def job_figures(board: Leaderboard) -> list[Figure]:
    """Every chart of the page."""
    found = [learning_curve(board), *scatters(board), ledger_figure(board.ledger)]
    found += [*share_curves(board), *gradient_curves(board), *teacher_curves(board)]
    return [figure for figure in found if figure is not None]


def _verdict(board: Leaderboard) -> dict[str, object]:
    return {
        "headline": words.board_headline(board),
        "summary": words.progress_summary(board),
        "odds": words.odds(board.verdict, words_of(board.metric)),
        "cautions": [] if board.verdict is None else board.verdict.cautions,
        "taken": _taken(board),
    }


def _table(board: Leaderboard) -> dict[str, object]:
    rows = board.rows
    return {
        "rows": rows,
        "paints": paints(rows),
        "taught": [row for row in rows if row.teacher is not None],
        "filled": words.filled_columns(rows),
        "drawn": expected_intervals(rows),
        "tied": brackets(rows, board.verdict),
        "seeds": _seed_lines(board),
        "reached": max((len(seed.rungs) for row in rows for seed in row.seeds), default=0),
    }


def _charts(board: Leaderboard) -> dict[str, object]:
    return {
        "learning": learning_curve(board),
        "trained": {curve.candidate_id for curve in board.curves if curve.purpose == "student"},
        "scatters": scatters(board),
        "shares": share_curves(board),
        "gradients": gradient_curves(board),
        "teachers": teacher_curves(board),
        "ledger_text": words.ledger_sentence(board.ledger),
        "ledger_chart": ledger_figure(board.ledger),
        "ledger_devices": device_lines(board.ledger),
    }


def _samples(board: Leaderboard) -> dict[str, object]:
    """What is drawn with sample pictures of a job of detection."""
    pictures = [] if board.samples is None else board.samples.pictures
    found = [box for each in pictures for boxes in (each.truth, each.student, each.teacher or []) for box in boxes]
    return {
        "box_colours": box_colours(box.label for box in found), "most_classes": MOST_NAMED, "least_score": LEAST_SCORE,
        "metric_points": words_of(board.metric).points,
    }  # fmt: skip


def _trust(board: Leaderboard) -> dict[str, object]:
    rivals = trust_words.rival_lines(board.trust) if trust_words.is_judged(board.trust) else []
    return {
        "correlations": words.known_correlations(board),
        "coefficients": trust_words.coefficient_lines(board.correlations),
        "rivals": rivals,
        "rival_cells": trust_words.filled_cells(rivals),
        "rules_shown": trust_words.shows_a_difference(board.trust),
        "paired_all": trust_words.paired_sentences(board.trust),
        "stamp": trust_words.stamp_sentence(board.trust),
    }


def _seed_lines(board: Leaderboard) -> list[tuple[str, SeedResult]]:
    """Every seed that reached a rung, with its row's label."""
    return [(row.label, seed) for row in board.rows for seed in row.seeds if seed.rungs]


def _taken(board: Leaderboard) -> int | None:
    """The candidate that the verdict says to take; the arm without a teacher when that is the answer."""
    verdict = board.verdict
    if verdict is None or (verdict.best is None and verdict.kind != "no_teacher"):
        return None
    wanted = None if verdict.kind == "no_teacher" else verdict.best
    return next((row.candidate_id for row in board.rows if row.teacher == wanted), None)
