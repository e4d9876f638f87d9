"""Pages as HTML text, made from wire objects only; no request, no database.

`root`: the path under which the service is served, without a slash at its end; every link begins with it.
"""

from __future__ import annotations

import functools
import hashlib
from base64 import b64encode
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from dpk_core.catalogue.detection.samples import LEAST_SCORE
from service.calibration.schemas import Calibration
from service.datasets.schemas import BoxDataset, Dataset, DatasetList
from service.presentation import decision_words, numbers, repeat_words, setting_words, trust_words, words
from service.presentation.box_dataset_words import box_facts, box_headline, shown_boxes
from service.presentation.dataset_words import LEVELS, shown_classes
from service.presentation.dataset_words import facts as dataset_facts
from service.presentation.dataset_words import headline as dataset_headline
from service.presentation.metric_words import ACCURACY, MetricWords, words_of
from service.scheduling.states import JobState
from service.web.boxes import MOST_NAMED, box_colours
from service.web.figures import gradient_curves, learning_curves, share_curves, teacher_curves
from service.web.ledger import device_lines, ledger_figure
from service.web.palette import paints
from service.web.reliability import reliability
from service.web.scatter import scatters
from service.wire.boards import Interval, Leaderboard, SeedResult, Summary
from service.wire.jobs import JobList

_LIVE_STATES: frozenset[JobState] = frozenset({"queued", "running", "cancelling"})
_STATIC = {"style.css": "text/css", "live.js": "text/javascript"}


@functools.cache
def static_file(name: str) -> tuple[bytes, str] | None:
    """A static file's content and media type; None when there is no such file."""
    if name not in _STATIC:
        return None
    return resources.files("service.web").joinpath("static", name).read_bytes(), _STATIC[name]


@functools.cache
def appearance() -> str:
    """What templates, style sheet and script come to: a page is another one where they changed."""
    folder = resources.files("service.web")
    files = [each for name in ("static", "templates") for each in folder.joinpath(name).iterdir() if each.is_file()]
    digest = hashlib.sha256()
    for each in sorted(files, key=lambda file: file.name):
        digest.update(each.read_bytes())
    return digest.hexdigest()


def page_policy() -> str:
    """Content-Security-Policy of the pages: everything from here, nothing inline."""
    return (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def report_policy() -> str:
    """Content-Security-Policy of the report: its own style sheet, by hash, pictures in it, and nothing else."""
    digest = b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"


def jobs_page(jobs: JobList, origin: str, before: str | None = None, root: str = "") -> str:
    """The list of jobs. `origin`: address of this server, for the example commands."""
    return _environment().get_template("jobs.html").render(
        jobs=jobs.jobs,
        here=f"{root}/" if before is None else f"{root}/?before={before}",
        older=None if jobs.next_before is None else f"{root}/?before={jobs.next_before}",
        root=root,
        origin=origin.rstrip("/"),
        live=not jobs.jobs or any(job.state in _LIVE_STATES for job in jobs.jobs),
    )  # fmt: skip


def job_page(board: Leaderboard, root: str = "") -> str:
    """The leaderboard page of a job."""
    return _environment().get_template("job.html").render(_context(board, root))


def live_fragment(board: Leaderboard, root: str = "") -> str:
    """The part of the leaderboard page that changes while the job runs."""
    return _environment().get_template("live.html").render(_context(board, root))


def report_page(board: Leaderboard) -> str:
    """The leaderboard as one file: style and charts inside, no script, no address outside."""
    context = _context(board, "") | {"standalone": True, "live": False, "style": Markup(_style())}  # noqa: S704 - our own file
    return _environment().get_template("report.html").render(context)


def record_page(found: Calibration, root: str = "") -> str:
    """How often what was stated came true."""
    return _environment().get_template("record.html").render(
        found=found, diagram=reliability(found), live=False, root=root,
    )  # fmt: skip


def datasets_page(found: DatasetList, root: str = "") -> str:
    """The list of data sets."""
    return _environment().get_template("datasets.html").render(found=found, live=False, root=root)


def dataset_page(found: Dataset | BoxDataset, root: str = "") -> str:
    """What is known of a data set."""
    if isinstance(found, BoxDataset):
        return _box_dataset_page(found, root)
    classes, hidden = shown_classes(found)
    return _environment().get_template("dataset.html").render(
        found=found, headline=dataset_headline(found), levels=LEVELS, classes=classes, hidden_classes=hidden,
        facts=dataset_facts(found), live=False, root=root,
    )  # fmt: skip


def _box_dataset_page(found: BoxDataset, root: str) -> str:
    classes, hidden = shown_boxes(found)
    return _environment().get_template("dataset_boxes.html").render(
        found=found, headline=box_headline(found), levels=LEVELS, classes=classes, hidden_classes=hidden,
        box_colours=box_colours(each.name for each in found.classes), most_classes=MOST_NAMED,
        facts=box_facts(found), live=False, root=root,
    )  # fmt: skip


def missing_page(sentence: str, root: str = "") -> str:
    """The page for an address that leads to no job."""
    return _missing(sentence, root, "There is no such job", "/", "All jobs")


def missing_dataset_page(sentence: str, root: str, *, broken: bool) -> str:
    """The page for an address that leads to no data set, or to one that cannot be read."""
    title = "This data set cannot be read" if broken else "There is no such data set"
    return _missing(sentence, root, title, "/data", "All data sets")


def _missing(sentence: str, root: str, title: str, back: str, back_words: str) -> str:
    return _environment().get_template("missing.html").render(
        sentence=sentence, title=title, back=back, back_words=back_words, live=False, root=root,
    )  # fmt: skip


def _context(board: Leaderboard, root: str) -> dict[str, object]:
    rows = board.rows
    shares, teachers = share_curves(board), teacher_curves(board)
    rivals = trust_words.rival_lines(board.trust) if trust_words.is_judged(board.trust) else []
    return {
        "board": board,
        "root": root,
        "rows": rows,
        "paints": paints(rows),
        "taken": _taken(board),
        "taught": [row for row in rows if row.teacher is not None],
        "headline": words.board_headline(board),
        "odds": words.odds(board.verdict, words_of(board.metric)),
        "cautions": [] if board.verdict is None else board.verdict.cautions,
        "filled": words.filled_columns(rows),
        "seeds": _seed_lines(board),
        "reached": max((len(seed.rungs) for row in rows for seed in row.seeds), default=0),
        "live": board.job.state in _LIVE_STATES,
        "metric_points": words_of(board.metric).points,
        **_samples(board),
        "scatters": scatters(board),
        "correlations": words.known_correlations(board),
        "coefficients": trust_words.coefficient_lines(board.correlations),
        "rivals": rivals,
        "rival_cells": trust_words.filled_cells(rivals),
        "paired_all": trust_words.paired_sentences(board.trust),
        "stamp": trust_words.stamp_sentence(board.trust),
        "learning": learning_curves(board),
        "shares": shares,
        "gradients": gradient_curves(board),
        "teachers": teachers,
        "ledger_text": words.ledger_sentence(board.ledger),
        "ledger_chart": ledger_figure(board.ledger),
        "ledger_devices": device_lines(board.ledger),
        "standalone": False,
    }


def _samples(board: Leaderboard) -> dict[str, object]:
    """What is drawn with sample pictures of a job of detection."""
    pictures = [] if board.samples is None else board.samples.pictures
    found = [box for each in pictures for boxes in (each.truth, each.student, each.teacher or []) for box in boxes]
    return {
        "box_colours": box_colours(box.label for box in found), "most_classes": MOST_NAMED, "least_score": LEAST_SCORE,
    }  # fmt: skip


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


def _metric(context: Context) -> MetricWords:
    """Of the board on the page; chances of a page without one are in percent as accuracies are."""
    board = context.get("board")
    return ACCURACY if board is None else words_of(board.metric)


@pass_context
def _score(context: Context, value: float | None, digits: int = 1) -> str:
    return _metric(context).score(value, digits)


@pass_context
def _spread(context: Context, summary: Summary | None) -> str:
    return words.spread(summary, _metric(context))


@pass_context
def _bounds(context: Context, interval: Interval | None) -> str:
    return words.bounds(interval, _metric(context))


@functools.cache
def _style() -> str:
    return resources.files("service.web").joinpath("static", "style.css").read_text(encoding="utf-8")


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("service.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": _score, "spread": _spread, "bounds": _bounds}
    for function in (
        numbers.points, words.point_bounds, numbers.duration,
        numbers.count, numbers.clock, numbers.short, words.preparation, numbers.chance, decision_words.who,
        decision_words.where, decision_words.why, setting_words.method_label, setting_words.method_line,
        setting_words.recipe_line, setting_words.pictures_line, repeat_words.fetch_command,
        repeat_words.environment_line,
    ):  # fmt: skip
        environment.filters[function.__name__] = function
    parts = b"".join(content for name in _STATIC if (content := (static_file(name) or (b"", ""))[0]))
    environment.globals["version"] = hashlib.sha256(parts).hexdigest()[:12]
    return environment
