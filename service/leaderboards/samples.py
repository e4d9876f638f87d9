"""Sample pictures of a job of detection: what its student and its teacher find on them, from what their runs left."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from dpk_core import artifacts
from dpk_core.catalogue.detection.samples import DetectionSamples, SampleBox, SamplePicture
from dpk_core.codec import WrongValue, from_json
from dpk_core.errors import ArtifactFault, DiskFault
from dpk_core.protocol import ArtifactReference
from service.database.tables import Run
from service.scheduling.evidence import preparation_result
from service.scheduling.snapshot import ArmRuns, Snapshot
from service.settings import settings
from service.wire import boards

_log = logging.getLogger(__name__)


def samples(snapshot: Snapshot, verdict: boards.Verdict | None) -> boards.Samples | None:
    """Of the teacher that the verdict names, or else of the first one under which a student was trained fully; of its
    seeds the median. None before there is one, and where what it left is lost."""
    if snapshot.plan.task != "detection":
        return None
    best = None if verdict is None else verdict.best
    arms = sorted(
        snapshot.arms, key=lambda arm: (best is None or arm.candidate.teacher != best, arm.candidate.teacher is None)
    )
    for arm in arms:
        run = _median(arm, snapshot.plan.epochs)
        student = None if run is None else _left(run.result)
        if run is not None and student is not None:
            teacher = _left(preparation_result(arm))
            return boards.Samples(
                candidate_id=arm.candidate.id, seed=run.spec["training"]["seed"],
                pictures=_pictures(student.pictures, None if teacher is None else teacher.pictures),
            )  # fmt: skip
    return None


def _median(arm: ArmRuns, epochs: int) -> Run | None:
    """The full training with the median validation score."""
    full = [runs[epochs] for runs in arm.students.values() if epochs in runs]
    scored = [(run.result["validation_score"], run.id, run) for run in full if run.result is not None]
    return sorted(scored)[(len(scored) - 1) // 2][2] if scored else None


def _left(result: Mapping[str, Any] | None) -> DetectionSamples | None:
    reference = None if result is None else result.get("samples")
    if reference is None:
        return None
    try:
        content = artifacts.read(settings().resolved_artifact_root, from_json(ArtifactReference, reference))
        return from_json(DetectionSamples, json.loads(content))
    except (ArtifactFault, DiskFault, WrongValue, ValueError) as error:
        _log.warning("Sample pictures are left out: %s", error)
        return None


def _pictures(ours: Sequence[SamplePicture], theirs: Sequence[SamplePicture] | None) -> list[boards.SamplePicture]:
    """The student's, each with what the teacher finds on the same one."""
    by_name = {} if theirs is None else {each.name: each.found for each in theirs}
    return [
        boards.SamplePicture(
            name=each.name, width=each.width, height=each.height, picture=each.picture,
            truth=_boxes(each.truth), student=_boxes(each.found),
            teacher=_boxes(by_name[each.name]) if each.name in by_name else None,
        )
        for each in ours
    ]  # fmt: skip


def _boxes(found: Sequence[SampleBox]) -> list[boards.SampleBox]:
    return [boards.SampleBox(corners=list(each.corners), label=each.label, score=each.score) for each in found]
