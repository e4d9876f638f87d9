"""The fair-protocol stamp: rows that do not share it must never be ranked together; pure.

It is short for everything that decides a student's score except its teacher and the seed.
"""

from __future__ import annotations

from typing import Any

from dpk_core.codec import content_key, to_json
from service.scheduling.plan import Plan

DIGITS = 8
HOLDS = (
    "task", "data fingerprint", "method and its settings", "student", "what the student starts from",
    "recipe with augmentation and epochs", "training version",
)  # fmt: skip
"""What the stamp is made of, in words."""


def plan_stamp(plan: Plan) -> str:
    """The stamp of a job's student trainings."""
    return _stamp(
        plan.task, plan.data_fingerprint, to_json(plan.method), plan.student,
        None if plan.student_start is None else to_json(plan.student_start), to_json(plan.student_recipe), plan.version,
    )  # fmt: skip


def training_stamp(training: dict[str, Any], method: object = None) -> str:
    """The stamp of a student's training as it is stored (`TrainingSpec` in JSON).

    `method`: in place of its own, for the arm without a teacher, which belongs to the protocol of those that have one.
    """
    return _stamp(
        training["task"], training["data_fingerprint"], training["method"] if method is None else method,
        training["model"], training.get("start"), training["recipe"], training["version"],
    )  # fmt: skip


def _stamp(
    task: object, fingerprint: object, method: object, student: object, start: object, recipe: object, version: object
) -> str:
    everything = {
        "task": task, "data_fingerprint": fingerprint, "method": method, "student": student, "start": start,
        "recipe": recipe, "version": version,
    }  # fmt: skip
    return content_key(everything)[:DIGITS]
