"""What the template of a run's page is given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from service.presentation.metric_words import words_of
from service.presentation.numbers import short
from service.presentation.setting_words import setting_value
from service.run_pages.schemas import RunRecord
from service.web.charts import Figure
from service.web.figures import Lines, line_figure
from service.web.palette import paint
from service.web.score_axis import score_axis

_GROUPS = {
    "share": "Share of the teacher's features",
    "gradient": "Norm of each term's gradient on the student",
    "cka": "Likeness of the feature maps (CKA)",
    "loss": "Losses",
}
"""By how a measurement's name begins, or where it ends."""


def run_page_context(run: RunRecord) -> dict[str, object]:
    """Everything that the page shows."""
    taught = "" if run.teacher is None else f" under {short(run.teacher)}"
    alone = " without a teacher" if run.teacher is None and run.purpose != "teacher" else ""
    return {
        "run": run,
        "title": f"{short(run.student)}{taught}{alone} on {run.dataset}, seed {run.seed}",
        "sentence": _sentence(run),
        "figures": run_figures(run),
        "settings": list(_settings(run.spec["training"])),
    }


def run_figures(run: RunRecord) -> list[Figure]:
    """One chart for each kind of measurement, the score first."""
    names = sorted({name for point in run.points for name in point.values})
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(_group(name, run.metric.measured_as), []).append(name)
    order = ["score", *_GROUPS]
    ordered = sorted(groups, key=lambda group: (order.index(group) if group in order else len(order), group))
    return [_figure(run, group, groups[group]) for group in ordered]


def _group(name: str, score: str) -> str:
    if name == score or name == score.replace("validation", "train"):
        return "score"
    return "loss" if "loss" in (name.partition("_")[0], name.rpartition("_")[2]) else name.partition(".")[0]


def _figure(run: RunRecord, group: str, names: list[str]) -> Figure:
    lines: Lines = {}
    for position, name in enumerate(names):
        series = [(point.epoch, point.values[name]) for point in run.points if name in point.values]
        lines[_line(name)] = (series, paint(position))
    is_score = group == "score"
    score = words_of(run.metric).score
    title = (
        run.metric.name[:1].upper() + run.metric.name[1:]
        if is_score
        else _GROUPS.get(group, group.replace("_", " ").capitalize())
    )
    said = "; ".join(
        f"{line}: {score(series[-1][1]) if is_score else f'{series[-1][1]:.3g}'} after epoch {series[-1][0]}"
        for line, (series, _) in lines.items()
    )
    axis = score_axis(run.metric) if is_score else {"format": ".3~g"}
    metric = run.metric if is_score else None
    found = line_figure(f"run-{group}", title, f"{said}.", lines, axis, who="Of", metric=metric)
    key = tuple((each.colour, line) for line, (_, each) in lines.items())
    return found if len(key) < 2 else replace(found, key=key)


def _line(name: str) -> str:
    return name.partition(".")[2].replace("_", " ") or name.replace("_", " ")


def _sentence(run: RunRecord) -> str:
    match run.state:
        case "failed":
            return run.failure or "It failed."
        case "finished" if run.validation_score is not None:
            score = words_of(run.metric).score
            tested = "" if run.test_score is None else f", {score(run.test_score, 2)} on the test pictures"
            chance = " That is no better than chance." if run.near_chance else ""
            name = f" {run.metric.name}" if run.metric.unit == "%" else ""
            return f"{score(run.validation_score, 2)}{name} on the validation pictures{tested}.{chance}"
        case "running":
            return f"Step {run.step} of {run.total_steps}."
        case "queued":
            return "It waits for a worker."
        case _:
            return "It was cancelled."


def _settings(value: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Every setting with its dotted name; what is not set is left out."""
    for name, each in value.items():
        if isinstance(each, dict):
            yield from _settings(each, f"{before}{name}.")
        elif each is not None and each != []:
            yield f"{before}{name}", setting_value(each)
