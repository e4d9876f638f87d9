"""What a worker holds while it carries out a run, and what it says about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from dpk_core.protocol import ArtifactReference, Checkpoint, Failed, Finished, Measured, Noticed, Stopped
from dpk_core.spec import RunSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A run that this worker may write to, as long as nobody has claimed it since: `fence` proves it.

    `resume`: where to go on; the run's own last checkpoint, else that of an earlier run of the same training.
    `earlier_seconds`: training time up to `resume` that belongs to earlier runs of the same training; the same at every
    claim once the run has a checkpoint of its own.
    `furthest`: the step of the furthest checkpoint there was when it was claimed, 0 without one; a broken one that the
    run does not go on from counts too. With a checkpoint beyond it, attempts are counted anew.
    `known_scores`: what a finished run of the same training measured of what rivals say.
    """

    run_id: str
    fence: int
    spec: RunSpec
    resume: Checkpoint | None
    earlier_seconds: float
    furthest: int
    known_scores: dict[str, float] | None
    teacher_weights: ArtifactReference | None
    uploads: tuple[dict[str, Any], ...] = ()
    """The documents of the uploaded models that it builds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What is new since the last report. None: nothing. `seconds`: training time of the whole training so far."""

    step: int | None = None
    total_steps: int | None = None
    seconds: float | None = None
    device: str | None = None
    checkpoint: Checkpoint | None = None
    measured: tuple[Measured, ...] = ()
    notices: tuple[Noticed, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a claim ended, with all that was not reported before. Kept in a file while the database is away.

    `report` holds the last checkpoint even where it was reported, and no notices: they are apart, as its jobs hear of
    them too.
    """

    run_id: str
    fence: int
    earlier_seconds: float
    report: Report
    notices: tuple[Noticed, ...]
    end: Finished | Failed | Stopped


class Answer(Enum):
    """What a worker learns from its report."""

    HELD = "go on"
    CANCEL = "stop the run and let it go"
    LOST = "the run is not yours any more: stop, and write nothing"
