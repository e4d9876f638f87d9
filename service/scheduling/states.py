"""The words that rows and plans use for where things stand, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dpk_core.selection.decide.promotion import Promotion

JobState = Literal["queued", "running", "paused", "finished", "failed", "cancelling", "cancelled"]
Stage = Literal["preparing_teachers", "exploring", "confirming", "deciding"]
CandidateStatus = Literal[
    "waiting", "preparing", "prepared", "exploring", "promoted", "finished", "stopped", "not_promoted", "failed",
    "cancelled",
]  # fmt: skip
PolicyName = Literal["adaptive", "halving", "exhaustive", "teacher_accuracy"]
ClassesBy = Literal["number", "name", "request"]
"""How the classes of weights were matched with those of the data."""
PreparationKind = Literal["train", "as_is", "head", "fine_tune"]
"""Trained from random weights; taken as they are; a new head trained on a body that stays; trained on as a whole."""

STAGES: tuple[Stage, ...] = ("preparing_teachers", "exploring", "confirming", "deciding")
"""In order; a job's stage only moves forward."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a candidate has its status, as facts. `failure`: the first failed run's own words; `seed`: of that run, None
    for the preparation of the teacher. `promotion`: what was known when it was promoted, or not."""

    kind: Literal["failed", "baseline", "audit", "promotion", "near_chance"]
    failure: str | None = None
    seed: int | None = None
    promotion: Promotion | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFailure:
    """Why a job failed: no training finished (the runs say why), or its plan is of another training version."""

    kind: Literal["all_failed", "outdated"]
    before: int | None = None
    now: int | None = None
