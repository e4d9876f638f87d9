"""Learning curves of a job: the runs that carried a training, whichever job's, are one curve; pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from service.database.tables import Measurement, Run
from service.scheduling.snapshot import ArmRuns, Snapshot
from service.wire import boards

Measurements = Mapping[str, Sequence[Measurement]]
"""By training; of an epoch and name the last one counts."""


def curves(snapshot: Snapshot, measurements: Measurements) -> list[boards.Curve]:
    """Every teacher's and every student's curve that has a point, in the order of arms and seeds."""
    found = [curve for arm in snapshot.arms for curve in _curves_of(arm, snapshot, measurements)]
    return [curve for curve in found if curve.points]


def _curves_of(arm: ArmRuns, snapshot: Snapshot, measurements: Measurements) -> Iterator[boards.Curve]:
    candidate, label = arm.candidate, arm.label
    if arm.teacher is not None:
        yield boards.Curve(
            candidate_id=candidate.id, label=label, purpose="teacher", seed=arm.teacher.seed,
            points=_points([arm.teacher], measurements),
        )  # fmt: skip
    for seed in snapshot.plan.seeds:
        runs = [run for _, run in sorted(arm.students.get(seed, {}).items())]
        yield boards.Curve(
            candidate_id=candidate.id, label=label, purpose="student", seed=seed, points=_points(runs, measurements)
        )


def _points(runs: Sequence[Run], measurements: Measurements) -> list[boards.CurvePoint]:
    """As far as these runs of one training go; others may have carried it further."""
    last = max((run.spec["stop_epoch"] for run in runs), default=0)
    measured = measurements.get(runs[0].training_key, ()) if runs else ()
    return points(each for each in measured if each.epoch <= last)


def points(measurements: Iterable[Measurement]) -> list[boards.CurvePoint]:
    """What was measured at each epoch, in their order; of an epoch and name the last one counts."""
    values: dict[int, dict[str, float]] = defaultdict(dict)
    for each in measurements:
        values[each.epoch][each.name] = each.value
    return [boards.CurvePoint(epoch=epoch, values=at) for epoch, at in sorted(values.items())]
