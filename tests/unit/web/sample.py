"""A realistic leaderboard, built by hand, in every state a page can meet."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from statistics import fmean, stdev
from typing import Literal

from dpk_core.codec import to_json
from dpk_core.dpk_settings import CIFAR_DPK
from dpk_core.recipes import RECIPES
from dpk_core.selection.decide.facts import Purpose
from dpk_core.spec import MethodSpec
from dpk_core.tasks import METRICS
from service.presentation import words
from service.scheduling.states import CandidateStatus, JobState, Stage
from service.wire.boards import (
    Correlation,
    Curve,
    Decision,
    DecisionStep,
    Environment,
    Interval,
    Leaderboard,
    Ledger,
    PreparedTeacher,
    Purposes,
    Row,
    RungResult,
    SeedResult,
    Setup,
    StartingWeights,
    Summary,
    Verdict,
)
from service.wire.jobs import Budget, Job, Links, Notice, SelectionJobRequest, StageProgress
from tests.unit.web.sample_curve import curve
from tests.unit.web.sample_trust import STAMP, trust

JOB_ID = "0f3c2a9d5b7e4c1f8a6d0e2b4c6f8a01"
START = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
EPOCHS, PROBE_EPOCHS = 24, 6
TEACHERS: dict[str, tuple[float, int, float]] = {
    "cifar/resnet8w8": (0.921, 19_800, 0.936),
    "cifar/resnet14w8": (0.947, 44_300, 0.944),
    "cifar/resnet14": (0.962, 174_970, 0.949),
    "cifar/resnet20": (0.969, 272_474, 0.956),
    "cifar/resnet8x4": (0.978, 1_233_540, 0.951),
}
"""Accuracy, parameters and the student's mean full accuracy."""
BARE = 0.931
DROPPED = (
    "Was best with a chance of 3% after rung 2 of 3 (50% of the training) on 2 seeds: 88.3%; the last one promoted, "
    "resnet14, had 89.9%."
)
CHANCES: dict[str, float] = {
    "cifar/resnet20": 0.64, "cifar/resnet8x4": 0.27, "cifar/resnet14": 0.061, "cifar/resnet14w8": 0.027,
    "cifar/resnet8w8": 0.002,
}  # fmt: skip
"""Of being the best teacher."""
STAGES: tuple[tuple[Stage, str], ...] = (
    ("preparing_teachers", "Teachers prepared"),
    ("exploring", "Exploring"),
    ("confirming", "Full training of the promoted"),
    ("deciding", "Verdict"),
)

Progress = Literal["queued", "preparing", "exploring", "confirming", "finished"]
ORDER: tuple[Progress, ...] = ("queued", "preparing", "exploring", "confirming", "finished")


def job(state: JobState = "finished", progress: Progress = "finished", *, seeds: int = 3, **changes: object) -> Job:
    """A job that has come as far as `progress`."""
    reached = ORDER.index(progress) - 1
    stages = [
        StageProgress(
            stage=stage,
            title=title,
            done=600 if index < reached else 240 if index == reached else 0,
            total=600,
            state="done" if index < reached or state == "finished" else "running" if index == reached else "waiting",
        )
        for index, (stage, title) in enumerate(STAGES)
    ]
    known: dict[str, object] = {
        "id": JOB_ID,
        "state": state,
        "stage": STAGES[reached][0] if 0 <= reached < len(STAGES) else None,
        "revision": 17,
        "request": SelectionJobRequest(
            student="cifar/resnet8w4", dataset="digits", teachers=list(TEACHERS), seeds=seeds, budget=Budget(promote=2)
        ),
        "created_at": START,
        "started_at": None if progress == "queued" else START + timedelta(seconds=2),
        "finished_at": START + timedelta(seconds=251) if state in ("finished", "failed", "cancelled") else None,
        "failure": None,
        "progress": stages,
        "remaining_seconds": 128.0 if state == "running" else None,
        "verdict": None,
        "notices": [],
        "links": links(JOB_ID),
    } | changes
    headline = words.headline(
        *(known[name] for name in ("state", "stage", "finished_at", "failure", "verdict"))  # type: ignore[arg-type]
    )
    return Job.model_validate({"headline": headline} | known)


def links(job_id: str) -> Links:
    """The addresses of a job."""
    base = f"/selection-jobs/{job_id}"
    return Links(
        self=base, leaderboard=f"{base}/leaderboard", events=f"{base}/events", cancel=f"{base}/cancel",
        page=f"/jobs/{job_id}", report=f"{base}/report", request=f"{base}/request",
    )  # fmt: skip


def leaderboard(progress: Progress = "finished", *, state: JobState | None = None, seeds: int = 3) -> Leaderboard:
    """The leaderboard of a job that has come as far as `progress`."""
    state = state or ("finished" if progress == "finished" else "queued" if progress == "queued" else "running")
    arms: list[str | None] = [*TEACHERS, None]
    rows = [_row(index, arm, progress, seeds) for index, arm in enumerate(arms)]
    ranked = sorted((row for row in rows if row.probe is not None), key=_standing, reverse=True)
    ranks = {row.candidate_id: rank for rank, row in enumerate(ranked, start=1)}
    rows = [row.model_copy(update={"rank": ranks.get(row.candidate_id)}) for row in rows]
    rows.sort(key=lambda row: (row.rank is None, row.rank or 0))
    verdict = _verdict(progress)
    sentence = None if verdict is None else verdict.sentence
    return Leaderboard(
        job=job(state, progress, verdict=sentence, seeds=seeds),
        metric=METRICS["classification"],
        setup=Setup(
            student_weights=StartingWeights(weights="random", identity=None),
            method_settings=to_json(MethodSpec(name="dpk", dpk=CIFAR_DPK)),
            method_changes={},
            recipe="digits",
            recipe_settings=to_json(RECIPES["digits"]),
            recipe_changes={},
            learning_rate=0.05,
            batch_size=64,
            epochs=EPOCHS,
            rungs=[PROBE_EPOCHS, 12, EPOCHS],
            teacher_epochs=8,
            policy="adaptive",
            promote=2,
            seeds=list(range(seeds)),
            train_pictures=898,
            channels=1,
            side=8,
            data_fingerprint="sha256:0123/split-1",
            training_version=2,
            environments=[Environment(device="x86_64 CPU", versions={"torch": "2.15.0", "dpk-select": "0.1.0"})],
        ),
        rows=rows,
        verdict=verdict,
        decisions=_decisions(progress),
        correlations=_correlations(progress),
        trust=trust(finished=progress == "finished"),
        ledger=_ledger(progress),
        curves=[curve for index, arm in enumerate(arms) for curve in _curves(index, arm, progress, seeds)],
    )


def with_weights() -> Leaderboard:
    """The finished job's leaderboard, were one teacher's weights a file's and the student's published ones."""
    board = leaderboard()
    given = PreparedTeacher(
        weights="file:mine/t.safetensors", identity="sha256:12ab", kind="as_is", epochs=0, seconds=0.4
    )
    label = "resnet20@file:mine/t.safetensors"
    rows = [
        row.model_copy(update={"teacher": f"cifar/{label}", "label": label, "preparation": given})
        if row.teacher == "cifar/resnet20"
        else row
        for row in board.rows
    ]
    started = StartingWeights(weights="pretrained", identity="resnet18.a1_in1k, timm 1.0.31")
    setup = board.setup.model_copy(update={"student_weights": started})
    return board.model_copy(update={"rows": rows, "setup": setup})


def with_notices() -> Leaderboard:
    """The finished job's leaderboard, had a limit cut it short and one teacher learned nothing."""
    board = leaderboard()
    assert board.verdict is not None
    blind = Notice(level="warning", message="The teacher tells the classes no better than chance.")
    head = Notice(level="info", message="Teacher: the head was drawn anew.")
    rows = [row.model_copy(update={"notices": [blind, head] if row.label == "resnet14" else []}) for row in board.rows]
    limit = Notice(level="warning", message="The limit of 5 trainings (budget.runs) cut the job short.")
    return board.model_copy(
        update={
            "rows": rows,
            "verdict": board.verdict.model_copy(update={"cautions": ["resnet14 has learned nothing."]}),
            "job": board.job.model_copy(update={"notices": [limit]}),
        }
    )


def _standing(row: Row) -> float:
    return row.expected.value if row.expected else 0.0


def _seed_values(index: int, mean: float, seeds: int) -> list[float]:
    return [round(mean + 0.006 * math.sin(3.1 * index + 2.3 * seed), 4) for seed in range(seeds)]


def _summary(values: list[float]) -> Summary:
    return Summary(mean=fmean(values), sd=stdev(values) if len(values) > 1 else None, seeds=len(values))


def _is_full(arm: str | None, progress: Progress) -> bool:
    return progress == "finished" and arm in (None, "cifar/resnet20", "cifar/resnet14")


def _row(index: int, arm: str | None, progress: Progress, seeds: int) -> Row:
    at = ORDER.index(progress)
    accuracy, parameters, student = (None, None, BARE) if arm is None else TEACHERS[arm]
    probes = _seed_values(index, student - 0.11, seeds) if at >= 3 or (at == 2 and index < 3) else None
    full = _seed_values(index, student, seeds) if _is_full(arm, progress) else None
    bare = _seed_values(len(TEACHERS), BARE, seeds)
    gain = None
    if full and arm is not None and seeds > 1:
        differences = [one - other for one, other in zip(full, bare, strict=True)]
        half = 4.30 * stdev(differences) / math.sqrt(seeds)
        middle = fmean(differences)
        gain = Interval(value=middle, low=middle - half, high=middle + half, confidence=0.95)
    return Row(
        rank=None,
        candidate_id=100 + index,
        teacher=arm,
        label="no teacher" if arm is None else arm.rpartition("/")[2],
        status=_status(arm, progress, probes is not None),
        reason=DROPPED if _lost(arm, progress) else None,
        teacher_accuracy=accuracy if at >= 2 else None,
        teacher_test_accuracy=None if accuracy is None or at < 2 else accuracy - 0.004,
        teacher_parameters=parameters,
        stamp=STAMP,
        scores={} if arm is None or at < 2 else {"size": float(parameters or 0), "leep": -0.02 * index},
        preparation=None if arm is None else _preparation(at),
        probe=None if probes is None else _summary(probes),
        full=None if full is None else _summary(full),
        test=None if full is None else _summary([value - 0.007 for value in full]),
        expected=None
        if probes is None
        else Interval(value=student, low=student - 0.012, high=min(1.0, student + 0.012), confidence=0.95),
        chance=None if probes is None or arm is None else CHANCES[arm],
        gain=gain,
        seconds=0.0 if at == 0 else 9.0 + 8.5 * index,
        seeds=[
            SeedResult(
                seed=seed,
                rungs=_rungs(probes, full, seed),
                probe_score=probes[seed] if probes else None,
                full_score=full[seed] if full else None,
                test_score=full[seed] - 0.007 if full else None,
            )
            for seed in range(seeds)
        ],
        notices=[],
    )


def _rungs(probes: list[float] | None, full: list[float] | None, seed: int) -> list[RungResult]:
    reached = [] if probes is None else [RungResult(epochs=PROBE_EPOCHS, score=probes[seed])]
    if full is not None and probes is not None:
        reached.append(RungResult(epochs=12, score=(probes[seed] + full[seed]) / 2))
        reached.append(RungResult(epochs=EPOCHS, score=full[seed]))
    return reached


def _decisions(progress: Progress) -> list[Decision]:
    def decided(number: int, teachers: list[str | None], epochs: int, seeds: range, reason: str) -> Decision:
        stage: Literal["exploring", "confirming"] = "confirming" if epochs == EPOCHS else "exploring"
        purpose: Purpose = "confirm" if epochs == EPOCHS else "explore"
        steps = [
            DecisionStep(teacher=teacher, seed=seed, epochs=epochs, purpose=purpose)
            for teacher in teachers
            for seed in seeds
        ]
        return Decision(number=number, stage=stage, steps=steps, reason=reason, chances=CHANCES, regret=0.002)

    worth = "lowers the expected regret most."
    two: list[str | None] = ["cifar/resnet20", "cifar/resnet14"]
    made = [
        decided(1, [*TEACHERS], PROBE_EPOCHS, range(1), f"Training 5 arms on seed 0 to rung 1 {worth}"),
        decided(2, two, 12, range(2), f"Training 2 arms to rung 2 {worth}"),
        decided(3, [None, *two], EPOCHS, range(3), "The choice is best with a chance of 91%."),
    ]
    return made[: max(0, ORDER.index(progress) - 1)]


def _lost(arm: str | None, progress: Progress) -> bool:
    return progress == "finished" and not _is_full(arm, progress)


def _status(arm: str | None, progress: Progress, probed: bool) -> CandidateStatus:
    if progress in ("queued", "preparing"):
        return "waiting" if progress == "queued" or arm is None else "preparing"
    if progress == "exploring":
        return "exploring" if probed else "prepared"
    if progress == "confirming":
        return "promoted" if _is_full(arm, "finished") else "not_promoted"
    return "finished" if _is_full(arm, progress) else "not_promoted"


def _preparation(at: int) -> PreparedTeacher:
    seconds = 12.2 if at > 1 else None
    return PreparedTeacher(weights="random", identity=None, kind="train", epochs=8, seconds=seconds)


def _verdict(progress: Progress) -> Verdict | None:
    if progress in ("queued", "preparing", "exploring"):
        return None
    final = progress == "finished"
    return Verdict(
        kind="best",
        sentence="Take resnet20; resnet14 is within noise; both beat no teacher by about 2.1 points."
        if final
        else "resnet20 leads after the probes.",
        best="cifar/resnet20",
        tied=["cifar/resnet14"],
        final=final,
        chance=0.64,
        regret=0.0011,
        margin=0.003,
        near=0.93,
        change=0.08,
    )


def _correlations(progress: Progress) -> list[Correlation]:
    if progress in ("queued", "preparing", "exploring"):
        return []
    probe = Correlation(
        name="teacher_probe", title="Teacher accuracy and student accuracy after the probe", scope="job",
        statistic="pearson", rung=0.25, value=0.83, low=-0.11, high=0.99, confidence=0.95, pairs=5, note=None,
    )  # fmt: skip
    full = Correlation(
        name="teacher_full", title="Teacher accuracy and full student accuracy", scope="job",
        statistic="pearson", rung=None, value=None, low=None, high=None, confidence=0.95, pairs=2,
        note="Two teachers were trained fully; a correlation needs three.",
    )  # fmt: skip
    return [
        each.model_copy(update={"statistic": statistic, "value": each.value and each.value - less})
        for each in (probe, full)
        for statistic, less in (("pearson", 0.0), ("spearman", 0.1), ("kendall", 0.2))
    ]


def _ledger(progress: Progress) -> Ledger:
    if progress == "queued":
        return Ledger(
            teachers=0, exploring=0, confirming=0, audit=0, wasted=0, reused=0, spent=0, exhaustive=None, saved=None,
            devices=[], by_device={}, purposes_by_device={},
        )  # fmt: skip
    at = ORDER.index(progress)
    probes, full = (74.0 if at > 1 else 0.0), (96.0 if at > 3 else 0.0)
    purposes = Purposes(teachers=61.0, exploring=probes, confirming=full, audit=0.0, wasted=1.5)
    spent = 61.0 + probes + full + 1.5
    return Ledger(
        **purposes.model_dump(), reused=12.0, spent=spent, exhaustive=371.0, saved=138.5 if at > 3 else None,
        devices=["cpu (2 cores)"], by_device={"cpu (2 cores)": spent}, purposes_by_device={"cpu (2 cores)": purposes},
    )  # fmt: skip


def two_devices(ledger: Ledger) -> Ledger:
    """The ledger, had teachers been prepared on another device than the students trained on."""
    nothing = Purposes(teachers=0, exploring=0, confirming=0, audit=0, wasted=0)
    teachers = nothing.model_copy(update={"teachers": ledger.teachers})
    whole = Purposes(**ledger.model_dump(include=set(Purposes.model_fields)))
    split = {"GPU": whole.model_copy(update={"teachers": 0.0}), "CPU": teachers}
    by_device = {"GPU": ledger.spent - ledger.teachers, "CPU": ledger.teachers}
    return ledger.model_copy(update={"devices": ["GPU", "CPU"], "by_device": by_device, "purposes_by_device": split})


def _curves(index: int, arm: str | None, progress: Progress, seeds: int) -> list[Curve]:
    at = ORDER.index(progress)
    label = "no teacher" if arm is None else arm.rpartition("/")[2]
    found: list[Curve] = []
    if arm is not None and at >= 1:
        found.append(curve(index, label, "teacher", 0, TEACHERS[arm][0], EPOCHS if at > 1 else 5 + index, shares=False))
    if at < 2 or (at == 2 and index > 2):
        return found
    epochs = EPOCHS if _is_full(arm, progress) else PROBE_EPOCHS
    mean = BARE if arm is None else TEACHERS[arm][2]
    for seed in range(seeds):
        end = _seed_values(index, mean, seeds)[seed]
        found.append(curve(index, label, "student", seed, end, epochs, shares=arm is not None))
    return found
