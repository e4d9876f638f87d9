"""The model card of a trained student, in Markdown."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dpk_core.evidence import sampling_variance, unpack
from dpk_core.protocol import RunResult
from dpk_core.selection.decide.verdict import Verdict
from dpk_core.tasks import METRICS
from service.presentation.metric_words import WORDS
from service.presentation.numbers import percent
from service.presentation.repeat_words import versions_line
from service.presentation.score_words import in_words, measured, precision_table
from service.presentation.verdict_words import verdict_sentence
from service.scheduling.plan import Plan


def student_card(
    plan: Plan, request: Mapping[str, Any], facts: Verdict | None, *, job: str, teacher: str | None, seed: int,
    chosen: str, result: RunResult, classes: Sequence[str] | None, licences: Mapping[str, str | None],
) -> str:  # fmt: skip
    """What was trained, how well it does, how it was chosen, and how to repeat it. `classes`: their names; `licences`:
    by what they are of, None where none is stated."""
    recipe, score = plan.student_recipe, in_words(METRICS[plan.task])
    validation = measured(plan.task, result.validation_score, result.validation_pictures, _error(result))
    rows = [
        ("student", plan.student), ("teacher", teacher or "none"), ("method", plan.method.name),
        ("recipe", f"{recipe.name}, {recipe.epochs} epochs, batches of {recipe.batch_size}"),
        ("data set", f"{plan.dataset} (`{plan.data_fingerprint}`)"), ("seed", str(seed)),
        ("training version", str(plan.version)), ("trained on", f"{result.device_name} (`{result.device}`)"),
        ("trained with", versions_line(result.versions)),
        ("parameters", str(result.parameters)),
        (f"validation {score}", validation),
        (f"test {score}, read once at the end", _test(plan, result)),
        *_fallbacks(result),
        *((f"licence of {what}", said or "not stated") for what, said in licences.items()),
    ]  # fmt: skip
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    verdict = "The job had no verdict." if facts is None else verdict_sentence(facts, WORDS[plan.task])
    return f"""# {plan.student}, trained on {plan.dataset}

| | |
|---|---|
{table}

{_intervals(plan, result, classes)}

## How it was chosen

{chosen} The verdict of job `{job}` over {len(plan.arms) - 1} teachers: {verdict}

## Use

`model.safetensors` holds parameters and buffers, `config.json` what pictures must be. Licences are those that are
stated of the data and of weights that teacher or student began with; look them up before you pass this on.

## Repeat

    dpk submit --file request.json

```json
{json.dumps(request, indent=2)}
```
"""


def _fallbacks(result: RunResult) -> Iterator[tuple[str, str]]:
    if result.fallback_rates:
        said = ", ".join(f"{stage} {percent(rate)}" for stage, rate in result.fallback_rates.items())
        yield "steps whose share of teacher tokens could not follow CKA", said


def _error(result: RunResult) -> float | None:
    """Standard error over pictures of the validation score."""
    evidence = result.validation_evidence
    return None if evidence is None else math.sqrt(sampling_variance(unpack(evidence)))


def _test(plan: Plan, result: RunResult) -> str:
    return measured(plan.task, result.test_score, result.test_pictures, (result.test_details or {}).get("error_ap"))


def _intervals(plan: Plan, result: RunResult, classes: Sequence[str] | None) -> str:
    """What intervals are; of a detector, before it, the test score by overlap, size and class."""
    if plan.task != "detection":
        return "Intervals are Wilson's at 90 %, over pictures; another seed differs by more."
    about = (
        "AP is COCO's average precision by pycocotools, in points. Intervals are 90 %, over pictures (infinitesimal "
        "jackknife); another seed differs by more."
    )
    if result.test_score is None or result.test_details is None:
        return about
    rows = precision_table(result.test_score, result.test_details, classes)
    lines = "\n".join(f"| {name} | {value} | {interval} |" for name, value, interval in rows)
    return f"| on the test pictures | AP | interval |\n|---|---|---|\n{lines}\n\n{about}"
