"""Pages as HTML text, made from wire objects only; no request, no database."""

from __future__ import annotations

import functools
import hashlib
from base64 import b64encode
from collections.abc import Sequence
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from service.selection_jobs.schemas import Correlation, Job, JobList, JobState, Leaderboard, Row
from service.web import formats
from service.web.figures import learning_curves, share_curves, teacher_curves
from service.web.ledger import ledger_figure, ledger_sentence
from service.web.palette import paints
from service.web.scatter import scatters

_LIVE_STATES: frozenset[JobState] = frozenset({"queued", "running", "cancelling"})
_STATIC = {"style.css": "text/css", "live.js": "text/javascript"}


@functools.cache
def static_file(name: str) -> tuple[bytes, str] | None:
    """A static file's content and media type; None when there is no such file."""
    if name not in _STATIC:
        return None
    return resources.files("service.web").joinpath("static", name).read_bytes(), _STATIC[name]


def page_policy() -> str:
    """Content-Security-Policy of the pages: everything from here, nothing inline."""
    return (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def report_policy() -> str:
    """Content-Security-Policy of the report: its own style sheet, by hash, and nothing else."""
    digest = b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def jobs_page(jobs: JobList, origin: str, before: str | None = None) -> str:
    """The list of jobs. `origin`: address of this server, for the example commands."""
    return _environment().get_template("jobs.html").render(
        jobs=jobs.jobs,
        here="/" if before is None else f"/?before={before}",
        older=None if jobs.next_before is None else f"/?before={jobs.next_before}",
        origin=origin.rstrip("/"),
        live=not jobs.jobs or any(job.state in _LIVE_STATES for job in jobs.jobs),
    )  # fmt: skip


def job_page(board: Leaderboard) -> str:
    """The leaderboard page of a job."""
    return _environment().get_template("job.html").render(_context(board))


def live_fragment(board: Leaderboard) -> str:
    """The part of the leaderboard page that changes while the job runs."""
    return _environment().get_template("live.html").render(_context(board))


def report_page(board: Leaderboard) -> str:
    """The leaderboard as one file: style and charts inside, no script, no address outside."""
    context = _context(board) | {"standalone": True, "live": False, "style": Markup(_style())}  # noqa: S704 - our own file
    return _environment().get_template("report.html").render(context)


def missing_page(sentence: str) -> str:
    """The page for an address that leads to no job."""
    return _environment().get_template("missing.html").render(sentence=sentence, live=False)


def headline(board: Leaderboard) -> str:
    """What there is to say first: the failure, the verdict, or what is going on."""
    job = board.job
    if job.state == "failed":
        return job.failure or "The job failed."
    if job.state == "cancelled":
        return job.failure or "The job was cancelled before it could say which teacher to take."
    if board.verdict is not None:
        return board.verdict.sentence
    if job.state == "queued":
        return "Waiting for a worker to begin."
    running = next((stage.title for stage in job.progress if stage.state == "running"), None)
    return "No verdict yet." if running is None else f"No verdict yet. Now: {running}."


def correlation_sentence(correlation: Correlation) -> str:
    """A correlation with its interval, in words."""
    where = "in this job" if correlation.scope == "job" else "in all jobs of this store"
    if correlation.value is None:
        return f"{correlation.title} ({where}): {correlation.note or 'not measurable yet.'}"
    text = f"{correlation.title}: {formats.coefficient(correlation.value)}"
    if correlation.low is not None and correlation.high is not None:
        low, high = formats.coefficient(correlation.low), formats.coefficient(correlation.high)
        text += f", {100 * correlation.confidence:.0f}% interval {low} to {high}"
    text += f" ({correlation.pairs} pairs {where})."
    return text if correlation.note is None else f"{text} {correlation.note}"


def _context(board: Leaderboard) -> dict[str, object]:
    rows = _ranked(board.rows)
    shares, teachers = share_curves(board), teacher_curves(board)
    return {
        "board": board,
        "rows": rows,
        "paints": paints(rows),
        "taught": [row for row in rows if row.teacher is not None],
        "headline": headline(board),
        "live": board.job.state in _LIVE_STATES,
        "scatters": scatters(board),
        "correlations": [correlation_sentence(correlation) for correlation in board.correlations],
        "learning": learning_curves(board),
        "shares": shares,
        "teachers": teachers,
        "ledger_text": ledger_sentence(board.ledger),
        "ledger_chart": ledger_figure(board.ledger),
        "budget": _budget(board.job),
        "standalone": False,
    }


def _ranked(rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (row.rank is None, row.rank or 0))


def _budget(job: Job) -> list[tuple[str, int]]:
    budget = job.request.budget.model_dump(exclude_none=True)
    return [(name.replace("_", " ").capitalize(), value) for name, value in budget.items()]


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
    for function in (
        formats.percent, formats.spread, formats.points, formats.bounds, formats.point_bounds, formats.duration,
        formats.count, formats.clock, formats.short,
    ):  # fmt: skip
        environment.filters[function.__name__] = function
    parts = b"".join(content for name in _STATIC if (content := (static_file(name) or (b"", ""))[0]))
    environment.globals["version"] = hashlib.sha256(parts).hexdigest()[:12]
    return environment
