"""The leaderboard: every candidate in its place, what can be said, how far to trust it and what it cost; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev

from dpk_core.catalogue.weights import FILE, PRETRAINED, RANDOM
from dpk_core.codec import to_json
from dpk_core.selection.expectation import expected_accuracies, ranking
from dpk_core.selection.state import Pair, State
from dpk_core.selection.statistics import Estimate
from dpk_core.selection.trials import Question
from dpk_core.selection.verdict import gains
from dpk_core.spec import TRAINING_VERSION, Start
from service.database.tables import Run
from service.selection_jobs import schemas
from service.selection_jobs.curves import Measurements, curves
from service.selection_jobs.ledger import ledger, row_seconds
from service.selection_jobs.plan import Plan
from service.selection_jobs.snapshot import ArmRuns, Snapshot
from service.selection_jobs.trials import arm_trial, row_scores
from service.selection_jobs.trust import fidelity, job_stamp, row_stamp, trust


def leaderboard(
    snapshot: Snapshot,
    job: schemas.Job,
    verdict: schemas.Verdict | None,
    history: Sequence[Pair],
    measurements: Measurements,
    earlier: Sequence[Question] = (),
    previous: str | None = None,
) -> schemas.Leaderboard:
    """Ranked candidates first, best first; then those without a rank in the request's order.

    `earlier`: what the store knows of other questions; `previous`: the teacher that won this student's last job.
    """
    state = snapshot.state(history)
    return schemas.Leaderboard(
        job=job,
        setup=_setup(snapshot.plan),
        rows=_rows(snapshot, state),
        verdict=verdict,
        correlations=fidelity(snapshot, earlier),
        trust=trust(snapshot, earlier, previous),
        ledger=ledger(snapshot),
        curves=curves(snapshot, measurements),
    )


def _setup(plan: Plan) -> schemas.Setup:
    return schemas.Setup(
        student_weights=_weights(plan.student_start),
        recipe=plan.student_recipe.name,
        learning_rate=plan.student_recipe.learning_rate,
        batch_size=plan.student_recipe.batch_size,
        epochs=plan.student_recipe.epochs,
        probe_epochs=plan.probe_epochs,
        teacher_epochs=plan.teacher_recipe.epochs,
        promote=plan.promote,
        seeds=list(plan.seeds),
        train_pictures=plan.train_pictures,
        data_fingerprint=plan.data_fingerprint,
        training_version=TRAINING_VERSION,
    )


def _rows(snapshot: Snapshot, state: State) -> list[schemas.Row]:
    expected, gained = expected_accuracies(state), gains(state)
    comparable = {arm.candidate.teacher for arm in snapshot.arms if row_stamp(snapshot, arm) == job_stamp(snapshot)}
    order = [teacher for teacher in ranking(state) if teacher in comparable]
    rows = []
    for arm in snapshot.arms:
        teacher = arm.candidate.teacher
        rank = order.index(teacher) + 1 if teacher in order else None
        gain = None if teacher is None else gained.get(teacher)
        rows.append(_row(snapshot, arm, rank, expected.get(teacher), gain))
    return sorted(rows, key=lambda row: (row.rank is None, row.rank or 0))


def _row(
    snapshot: Snapshot, arm: ArmRuns, rank: int | None, expected: Estimate | None, gain: Estimate | None
) -> schemas.Row:
    candidate, known = arm.candidate, arm.arm()
    teacher = {} if arm.teacher is None or arm.teacher.result is None else arm.teacher.result
    tests = _tests(arm.fulls)
    return schemas.Row(
        rank=rank,
        candidate_id=candidate.id,
        teacher=candidate.teacher,
        label=known.label,
        status=candidate.status,
        reason=candidate.reason,
        teacher_accuracy=teacher.get("validation_accuracy"),
        teacher_test_accuracy=teacher.get("test_accuracy"),
        teacher_parameters=teacher.get("parameters"),
        stamp=row_stamp(snapshot, arm),
        scores=row_scores(arm_trial(snapshot, arm)),
        preparation=None if candidate.teacher is None else _preparation(snapshot.plan, candidate.teacher, arm.teacher),
        probe=_summary(known.probe),
        full=_summary(known.full),
        test=_summary(tests),
        expected=_interval(expected),
        gain=_interval(gain),
        seconds=row_seconds(snapshot.links, candidate.id),
        seeds=[
            schemas.SeedResult(
                seed=seed, probe_accuracy=known.probe.get(seed), full_accuracy=known.full.get(seed),
                test_accuracy=tests.get(seed),
            )
            for seed in snapshot.plan.seeds
        ],
    )  # fmt: skip


def _preparation(plan: Plan, teacher: str, run: Run | None) -> schemas.PreparedTeacher:
    found = plan.preparation(teacher)
    return schemas.PreparedTeacher(
        **_weights(found.start).model_dump(), kind=found.kind, epochs=found.recipe.epochs,
        seconds=None if run is None or run.state != "finished" else run.seconds,
    )  # fmt: skip


def _weights(start: Start | None) -> schemas.StartingWeights:
    if start is None:
        return schemas.StartingWeights(weights=RANDOM, identity=None)
    if start.source == "file":
        return schemas.StartingWeights(weights=f"{FILE}{start.name}", identity=start.identity)
    return schemas.StartingWeights(weights=PRETRAINED, identity=f"{start.name}, {start.identity}")


def _tests(runs: Mapping[int, Run]) -> dict[int, float]:
    results = {seed: run.result for seed, run in sorted(runs.items()) if run.result is not None}
    return {seed: result["test_accuracy"] for seed, result in results.items() if result["test_accuracy"] is not None}


def _summary(values: Mapping[int, float]) -> schemas.Summary | None:
    if not values:
        return None
    found = [values[seed] for seed in sorted(values)]
    return schemas.Summary(mean=fmean(found), sd=stdev(found) if len(found) > 1 else None, seeds=len(found))


def _interval(estimate: Estimate | None) -> schemas.Interval | None:
    return None if estimate is None else schemas.Interval.model_validate(to_json(estimate))
