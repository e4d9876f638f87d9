"""Do the demo's candidates truly differ? Every student of `dpk demo`, trained fully under every teacher.

    python -m benchmarks.demo [--teachers NAME,NAME,…] [--teacher-epochs N] [--seeds N]

Gives each teacher's and its students' validation and test accuracies, and the difference between the best and the worst
teacher's students with its 90 % interval, from the crossed analysis that the product's verdict uses. With other
teachers than the demo's it only prints.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks import record
from client.demo_job import DEMO_JOB
from dpk_core.catalogue.datasets import DIGITS
from dpk_core.data.source import ImageData, load_dataset
from dpk_core.selection.belief.crossed import difference, final_scores
from dpk_core.spec import RunSpec
from dpk_core.training.evaluate import EVALUATORS
from dpk_core.training.loop import Unobserved, train
from dpk_core.training.training import Training, begin, make_deterministic
from service.selection_jobs.planning import make_plan
from service.wire.jobs import SelectionJobRequest

COMMAND = "python -m benchmarks.demo"
LEAST_POINTS = 2.0


def _trained(run: RunSpec, data: ImageData, teacher: nn.Module | None) -> tuple[Training, float]:
    training, began = begin(run.training, data, teacher), time.process_time()
    train(training, run.stop_epoch, Unobserved())
    return training, time.process_time() - began


def _row(label: str | None, trained: list[tuple[Training, float]], data: ImageData) -> dict[str, Any]:
    tests = [EVALUATORS[each.spec.task].evaluate(each.judged, data, data.read_test()).score for each, _ in trained]
    scores = [each.last_measured["validation_accuracy"] for each, _ in trained]
    return {
        "teacher": label, "student_validation": round(float(np.mean(scores)), 4),
        "student_test": round(float(np.mean(tests)), 4), "student_seconds": round(sum(cpu for _, cpu in trained), 1),
    }  # fmt: skip


def measure(request: SelectionJobRequest) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """A row for each arm, and the difference between the best and the worst teacher's students, in points."""
    plan, data = make_plan(request, DIGITS), load_dataset(DIGITS, None, torch.device("cpu"))
    rows, evidence = [], []
    for label in plan.arms:
        teacher, prepared = None, {}
        if label is not None:
            training, cpu = _trained(plan.teacher_run(label), data, None)
            teacher = training.judged.eval().requires_grad_(False)
            accuracy = round(training.last_measured["validation_accuracy"], 4)
            prepared = {"teacher_validation": accuracy, "teacher_seconds": round(cpu, 1)}
        trained = [_trained(plan.student_run(label, seed, plan.epochs), data, teacher) for seed in plan.seeds]
        evidence.append(
            [training.last_evidence.numpy() for training, _ in trained if training.last_evidence is not None]
        )
        rows.append({**_row(label, trained, data), **prepared})
        print(rows[-1], flush=True)
    scores = final_scores(np.array(evidence, dtype=np.float32))
    order = np.argsort(scores.mean_A[:-1])
    apart = difference(scores, int(order[-1]), int(order[0]))
    found = {
        "best": plan.arms[order[-1]], "worst": plan.arms[order[0]], "points": round(100 * apart.value, 2),
        "low": round(100 * apart.low, 2), "high": round(100 * apart.high, 2),
    }  # fmt: skip
    return rows, found


def main() -> None:
    """Measures, prints, and keeps the result where it is the demo's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--teachers", help="names with commas between; default: the demo's")
    parser.add_argument("--teacher-epochs", type=int)
    parser.add_argument("--seeds", type=int, default=DEMO_JOB.seeds)
    options = parser.parse_args()
    make_deterministic(1)
    changes: dict[str, Any] = {"seeds": options.seeds}
    if options.teachers:
        changes["teachers"] = options.teachers.split(",")
    if options.teacher_epochs:
        changes["budget"] = DEMO_JOB.budget.model_copy(update={"teacher_epochs": options.teacher_epochs})
    request = SelectionJobRequest.model_validate({**DEMO_JOB.model_dump(), **changes})
    rows, apart = measure(request)
    print(f"best {apart['best']}, worst {apart['worst']}: {apart['points']} points ({apart['low']} … {apart['high']})")
    if request != DEMO_JOB:
        return
    goal = {
        "name": "difference between best and worst student, points",
        "value": apart["points"],
        "target": LEAST_POINTS,
        "unit": "points, at least",
        "met": apart["points"] >= LEAST_POINTS,
    }
    clear = {
        "name": "low end of its 90 % interval",
        "value": apart["low"],
        "target": 0.0,
        "unit": "points, above",
        "met": apart["low"] > 0,
    }
    record.write("demo", {
        "command": COMMAND, "machine": record.machine(torch.device("cpu")), "versions": record.versions(),
        "seeds": list(range(request.seeds)), "request": DEMO_JOB.model_dump(mode="json"), "rows": rows, "apart": apart,
        "targets": [goal, clear],
    })  # fmt: skip


if __name__ == "__main__":
    main()
