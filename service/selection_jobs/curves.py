"""Learning curves of a job: a probe and the full run that continued it are one curve; pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from service.database.tables import Measurement, Run
from service.selection_jobs import schemas
from service.selection_jobs.snapshot import ArmRuns, Snapshot

Measurements = Mapping[str, Sequence[Measurement]]


def curves(snapshot: Snapshot, measurements: Measurements) -> list[schemas.Curve]:
    """Every teacher's and every student's curve that has a point, in the order of arms and seeds."""
    found = [curve for arm in snapshot.arms for curve in _curves_of(arm, snapshot, measurements)]
    return [curve for curve in found if curve.points]


def _curves_of(arm: ArmRuns, snapshot: Snapshot, measurements: Measurements) -> Iterator[schemas.Curve]:
    candidate, label = arm.candidate, arm.arm().label
    if arm.teacher is not None:
        yield schemas.Curve(
            candidate_id=candidate.id, label=label, purpose="teacher", seed=arm.teacher.seed, probe_epochs=None,
            points=_points([arm.teacher], measurements),
        )  # fmt: skip
    for seed in snapshot.plan.seeds:
        runs = [run for run in (arm.probes.get(seed), arm.fulls.get(seed)) if run is not None]
        yield schemas.Curve(
            candidate_id=candidate.id, label=label, purpose="student", seed=seed,
            probe_epochs=snapshot.plan.probe_epochs, points=_points(runs, measurements),
        )  # fmt: skip


def _points(runs: Sequence[Run], measurements: Measurements) -> list[schemas.CurvePoint]:
    """The later run's value counts where both measured an epoch; a continued training gives the same one."""
    values: dict[int, dict[str, float]] = defaultdict(dict)
    for run in runs:
        for measurement in measurements.get(run.id, ()):
            values[measurement.epoch][measurement.name] = measurement.value
    return [schemas.CurvePoint(epoch=epoch, values=at) for epoch, at in sorted(values.items())]
