"""The model card of a trained student, in Markdown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from dpk_core.protocol import RunResult
from dpk_core.selection.decide.verdict import Verdict
from dpk_core.selection.statistics import wilson
from service.presentation.numbers import percent
from service.presentation.repeat_words import versions_line
from service.presentation.verdict_words import verdict_sentence
from service.scheduling.plan import Plan


def student_card(
    plan: Plan, request: Mapping[str, Any], facts: Verdict | None, *, job: str, teacher: str | None, seed: int,
    chosen: str, result: RunResult,
) -> str:  # fmt: skip
    """What was trained, how well it does, how it was chosen, and how to repeat it."""
    recipe = plan.student_recipe
    rows = [
        ("student", plan.student), ("teacher", teacher or "none"), ("method", plan.method.name),
        ("recipe", f"{recipe.name}, {recipe.epochs} epochs, batches of {recipe.batch_size}"),
        ("data set", f"{plan.dataset} (`{plan.data_fingerprint}`)"), ("seed", str(seed)),
        ("training version", str(plan.version)), ("trained on", f"{result.device_name} (`{result.device}`)"),
        ("trained with", versions_line(result.versions)),
        ("parameters", str(result.parameters)),
        ("validation accuracy", _accuracy(result.validation_score, result.validation_pictures)),
        ("test accuracy, read once at the end", _accuracy(result.test_score, result.test_pictures)),
    ]  # fmt: skip
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    verdict = "The job had no verdict." if facts is None else verdict_sentence(facts)
    return f"""# {plan.student}, trained on {plan.dataset}

| | |
|---|---|
{table}

Intervals are Wilson's at 90 %, over pictures; another seed differs by more.

## How it was chosen

{chosen} The verdict of job `{job}` over {len(plan.arms) - 1} teachers: {verdict}

## Use

`model.safetensors` holds parameters and buffers, `config.json` what pictures must be. The licences of the data set and
of weights that teacher or student began with are not known to DPK Select: look them up before you pass this on.

## Repeat

    dpk submit --file request.json

```json
{json.dumps(request, indent=2)}
```
"""


def _accuracy(value: float | None, pictures: int) -> str:
    if value is None:
        return "not measured"
    found = wilson(value * pictures, pictures)
    return f"{percent(value)} of {pictures} pictures ({percent(found.low)} to {percent(found.high)})"
