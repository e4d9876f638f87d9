"""Pages as HTML text, made from wire objects only; no request, no database.

`root`: the path under which the service is served, without a slash at its end; every link begins with it.
"""

from __future__ import annotations

import functools
import hashlib
import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from dpk_core.tasks import task_of_data
from service.calibration.schemas import Calibration
from service.datasets.schemas import BoxDataset, Dataset, DatasetList
from service.imported_results.schemas import ImportedRows
from service.presentation import decision_words, numbers, repeat_words, setting_words, words
from service.presentation.box_dataset_words import box_facts, box_headline
from service.presentation.dataset_words import LEVELS, shown_classes
from service.presentation.dataset_words import facts as dataset_facts
from service.presentation.dataset_words import headline as dataset_headline
from service.presentation.metric_words import WORDS, MetricWords, words_of
from service.run_pages.schemas import RunRecord
from service.teacher_records.schemas import TeacherRecords
from service.web import vega
from service.web.boxes import MOST_NAMED, box_colours
from service.web.charts import Figure
from service.web.docs_page import docs_page_context, with_code
from service.web.job_page import job_page_context
from service.web.reliability import reliability
from service.web.run_page import run_page_context
from service.wire.boards import Interval, Leaderboard, Summary

EXAMPLE = {
    "student": "cifar/resnet8w4", "dataset": "digits",
    "teacher": ["cifar/resnet8w8", "cifar/resnet14w8", "cifar/resnet20"],
}  # fmt: skip
"""A question that everybody can ask: its data are built in. Fields of the form at /new."""
_STATIC = {"style.css": "text/css", **dict.fromkeys(("live.js", "charts.js", "forms.js"), "text/javascript")}


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
    digest = hashlib.sha256()
    for place in ("static", "templates", "templates/job"):
        for each in sorted(folder.joinpath(place).iterdir(), key=lambda file: file.name):
            if each.is_file():
                digest.update(each.read_bytes())
    return digest.hexdigest()


def page_policy() -> str:
    """Content-Security-Policy of the pages: everything from here, nothing inline."""
    return (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


def report_policy() -> str:
    """Content-Security-Policy of the report: its own style sheet, by hash, pictures in it, and nothing else."""
    digest = b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"


def job_page(board: Leaderboard, root: str = "", imported: ImportedRows | None = None) -> str:
    """The leaderboard page of a job; `imported`: what was measured elsewhere of what it asks."""
    return render("job.html", **job_page_context(board, root), imported=imported)


def live_fragment(board: Leaderboard, root: str = "") -> str:
    """The part of the leaderboard page that changes while the job runs."""
    return render("live.html", **job_page_context(board, root))


def chart_specifications(figures: Sequence[Figure]) -> str:
    """What a browser draws charts from: JSON, specifications by the figures' names."""
    return json.dumps({figure.name: figure.interactive for figure in figures}, separators=(",", ":"))


def report_page(board: Leaderboard) -> str:
    """The leaderboard as one file: style and charts inside, no script, no address outside."""
    context = job_page_context(board, "") | {"standalone": True, "live": False, "style": Markup(_style())}  # noqa: S704 - our own file
    return render("report.html", **context)


def record_page(found: Calibration, root: str = "") -> str:
    """How often what was stated came true."""
    diagram = next(iter(record_figures(found)), None)
    return render("record.html", found=found, diagram=diagram, live=False, root=root)


def record_figures(found: Calibration) -> list[Figure]:
    """Its chart, once there is one."""
    return [figure for figure in (reliability(found),) if figure is not None]


def run_page(run: RunRecord, root: str = "") -> str:
    """What is known of one run."""
    return render("run.html", **run_page_context(run), live=False, root=root)


def teachers_page(found: TeacherRecords, imported: Sequence[ImportedRows] = (), root: str = "") -> str:
    """Teachers over all jobs, and what was measured elsewhere."""
    return render("teachers.html", found=found, imported=imported, live=False, root=root)


def docs_page(document: Mapping[str, Any], root: str = "") -> str:
    """The HTTP API, from its OpenAPI document."""
    return render("docs.html", **docs_page_context(document), live=False, root=root)


def datasets_page(found: DatasetList, root: str = "") -> str:
    """The list of data sets."""
    return render("datasets.html", found=found, live=False, root=root)


def dataset_page(found: Dataset | BoxDataset, root: str = "") -> str:
    """What is known of a data set."""
    if isinstance(found, BoxDataset):
        return _box_dataset_page(found, root)
    classes, hidden = shown_classes(found.classes)
    return render(
        "dataset.html", found=found, headline=dataset_headline(found), levels=LEVELS, classes=classes,
        hidden_classes=hidden, facts=dataset_facts(found), live=False, root=root,
    )  # fmt: skip


def _box_dataset_page(found: BoxDataset, root: str) -> str:
    classes, hidden = shown_classes(found.classes)
    return render(
        "dataset_boxes.html", found=found, headline=box_headline(found), levels=LEVELS, classes=classes,
        hidden_classes=hidden, box_colours=box_colours(each.name for each in found.classes), most_classes=MOST_NAMED,
        facts=box_facts(found), live=False, root=root,
    )  # fmt: skip


def render(template: str, **context: object) -> str:
    """A page from its template."""
    return _environment().get_template(template).render(context)


def not_found_page(sentence: str, root: str = "") -> str:
    """The page for an address that leads nowhere. `sentence`: what is not there."""
    return missing_page(sentence, root, "This page is not there", "/", "All jobs")


def unreadable_job_page(sentence: str, root: str = "") -> str:
    """The page of a job of which only the row can be read."""
    return missing_page(sentence, root, "This job cannot be read", "/", "All jobs")


def missing_dataset_page(sentence: str, root: str, *, broken: bool) -> str:
    """The page for an address that leads to no data set, or to one that cannot be read."""
    title = "This data set cannot be read" if broken else "There is no such data set"
    return missing_page(sentence, root, title, "/data", "All data sets")


def missing_page(sentence: str, root: str, title: str, back: str, back_words: str) -> str:
    """The page in place of one that cannot be shown: why, and a link to go on from."""
    return render(
        "missing.html", sentence=sentence, title=title, back=back, back_words=back_words, live=False, root=root
    )


def _metric(context: Context) -> MetricWords:
    """Of the board on the page. A page without one shows scores in the words of their data: `words_of_data`."""
    return words_of(context["board"].metric)


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
    environment.filters |= {
        "score": _score, "spread": _spread, "bounds": _bounds, "spread_of": words.spread,
        "percent_bounds": words.bounds,
    }  # fmt: skip
    for function in (
        numbers.percent, numbers.points, numbers.gain_value, numbers.gain_bounds, numbers.duration,
        numbers.count, numbers.clock, numbers.clock_seconds, numbers.short, words.preparation, numbers.chance,
        decision_words.who, decision_words.where, decision_words.why, setting_words.method_label,
        setting_words.method_line, setting_words.recipe_line, setting_words.every_setting, setting_words.pictures_line,
        repeat_words.fetch_command, repeat_words.environment_line, with_code, numbers.age, words.done,
    ):  # fmt: skip
        environment.filters[function.__name__] = function
    parts = b"".join(content for name in _STATIC if (content := (static_file(name) or (b"", ""))[0]))
    environment.globals["version"] = hashlib.sha256(parts).hexdigest()[:12]
    environment.globals["words_of_data"] = lambda dataset: WORDS[task_of_data(dataset)]
    environment.globals["example"] = urlencode(EXAMPLE, doseq=True)
    environment.globals["vega_version"] = vega.version()
    return environment
