"""A realistic leaderboard, built by hand, in every state a page can meet."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from statistics import fmean, stdev
from typing import Literal

from service.selection_jobs.schemas import (
    Budget,
    CandidateStatus,
    Correlation,
    Curve,
    CurvePoint,
    Interval,
    Job,
    JobState,
    Leaderboard,
    Ledger,
    Links,
    PreparedTeacher,
    Row,
    SeedResult,
    SelectionJobRequest,
    Setup,
    Stage,
    StageProgress,
    StartingWeights,
    Summary,
    Verdict,
)
from service.selection_jobs.stamp import HOLDS
from service.selection_jobs.trust_schemas import Measured, Rival, RivalName, RivalRecord, Trust

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
STAMP = "5c0a9e21"
STAGES: tuple[tuple[Stage, str], ...] = (
    ("preparing_teachers", "Teachers prepared"),
    ("probing", "DPK probes"),
    ("training", "Full training of the promoted"),
    ("deciding", "Verdict"),
)

Progress = Literal["queued", "preparing", "probing", "training", "finished"]
ORDER: tuple[Progress, ...] = ("queued", "preparing", "probing", "training", "finished")


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
        "links": links(JOB_ID),
    }
    return Job.model_validate(known | changes)


def links(job_id: str) -> Links:
    """The addresses of a job."""
    base = f"/selection-jobs/{job_id}"
    return Links(
        self=base, leaderboard=f"{base}/leaderboard", events=f"{base}/events", cancel=f"{base}/cancel",
        page=f"/jobs/{job_id}", report=f"{base}/report",
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
        setup=Setup(
            student_weights=StartingWeights(weights="random", identity=None),
            recipe="digits",
            learning_rate=0.05,
            batch_size=64,
            epochs=EPOCHS,
            probe_epochs=PROBE_EPOCHS,
            teacher_epochs=8,
            promote=2,
            seeds=list(range(seeds)),
            train_pictures=898,
            data_fingerprint="sha256:0123/split-1",
            training_version=1,
        ),
        rows=rows,
        verdict=verdict,
        correlations=_correlations(progress),
        trust=_trust(progress),
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
        reason="Behind the two best after the probe by more than the noise." if _lost(arm, progress) else None,
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
        gain=gain,
        seconds=0.0 if at == 0 else 9.0 + 8.5 * index,
        seeds=[
            SeedResult(
                seed=seed,
                probe_accuracy=probes[seed] if probes else None,
                full_accuracy=full[seed] if full else None,
                test_accuracy=full[seed] - 0.007 if full else None,
            )
            for seed in range(seeds)
        ],
    )


def _lost(arm: str | None, progress: Progress) -> bool:
    return progress == "finished" and not _is_full(arm, progress)


def _status(arm: str | None, progress: Progress, probed: bool) -> CandidateStatus:
    if progress in ("queued", "preparing"):
        return "waiting" if progress == "queued" or arm is None else "preparing"
    if progress == "probing":
        return "probed" if probed else "probing"
    if progress == "training":
        return "promoted" if _is_full(arm, "finished") else "not_promoted"
    return "finished" if _is_full(arm, progress) else "not_promoted"


def _preparation(at: int) -> PreparedTeacher:
    seconds = 12.2 if at > 1 else None
    return PreparedTeacher(weights="random", identity=None, kind="train", epochs=8, seconds=seconds)


def _verdict(progress: Progress) -> Verdict | None:
    if progress in ("queued", "preparing", "probing"):
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
    )


def _correlations(progress: Progress) -> list[Correlation]:
    if progress in ("queued", "preparing", "probing"):
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


RULES: tuple[tuple[RivalName, str, list[str]], ...] = (
    ("probe", "the probe", ["cifar/resnet20"]),
    ("teacher_accuracy", "the most accurate", ["cifar/resnet8x4"]),
    ("size", "the largest", ["cifar/resnet8x4"]),
    ("cka_gap", "nearest to the student (CKA)", ["cifar/resnet14", "cifar/resnet20"]),
    ("logme", "LogME", ["cifar/resnet20"]),
    ("leep", "LEEP", []),
    ("h_score", "H-score", ["cifar/resnet14"]),
    ("previous_winner", "the previous winner", []),
    ("random", "one at random", list(TEACHERS)),
)


def _trust(progress: Progress) -> Trust:
    return Trust(
        stamp=STAMP, stamp_holds=list(HOLDS), teachers=5, trained=2 if progress == "finished" else 0, audited=0,
        winner="cifar/resnet20" if progress == "finished" else None,
        note="Over the 2 of 5 teachers that were trained fully; the others were dropped on the way, so the probe "
        "looks better here than it may be.",
        rivals=[_rival(*rule, progress == "finished") for rule in RULES],
    )  # fmt: skip


def _rival(name: RivalName, title: str, picks: list[str], known: bool) -> Rival:
    trained = [pick for pick in picks if pick in ("cifar/resnet14", "cifar/resnet20")] if known else []
    hit = trained.count("cifar/resnet20") / len(picks) if picks and trained == picks else None
    lost = 0.007 * trained.count("cifar/resnet14") / len(trained) if trained else 0.0
    regret = Measured(value=lost, low=0.0, high=lost + 0.004, confidence=0.9) if trained else None
    hits = Measured(value=0.8 if name == "probe" else 0.5, low=0.3, high=0.9, confidence=0.9) if trained else None
    return Rival(
        name=name, title=title, picks=picks, trained_picks=trained, hit=hit, chance=None if hit is None else 0.8 * hit,
        regret=regret, regret_two=regret and regret.model_copy(update={"value": 0.0}),
        note=None if picks else "Not measured.",
        record=RivalRecord(questions=10 if trained else 0, hits=hits, regret=regret),
    )  # fmt: skip


def _ledger(progress: Progress) -> Ledger:
    if progress == "queued":
        return Ledger(
            teachers=0, probes=0, full=0, wasted=0, reused=0, spent=0, exhaustive=None, saved=None, devices=[]
        )
    at = ORDER.index(progress)
    probes, full = (74.0 if at > 1 else 0.0), (96.0 if at > 3 else 0.0)
    return Ledger(
        teachers=61.0, probes=probes, full=full, wasted=1.5, reused=12.0, spent=61.0 + probes + full + 1.5,
        exhaustive=371.0, saved=138.5 if at > 3 else None, devices=["cpu (2 cores)"],
    )  # fmt: skip


def _curves(index: int, arm: str | None, progress: Progress, seeds: int) -> list[Curve]:
    at = ORDER.index(progress)
    label = "no teacher" if arm is None else arm.rpartition("/")[2]
    found: list[Curve] = []
    if arm is not None and at >= 1:
        found.append(
            _curve(index, label, "teacher", 0, TEACHERS[arm][0], EPOCHS if at > 1 else 5 + index, shares=False)
        )
    if at < 2 or (at == 2 and index > 2):
        return found
    epochs = EPOCHS if _is_full(arm, progress) else PROBE_EPOCHS
    mean = BARE if arm is None else TEACHERS[arm][2]
    for seed in range(seeds):
        end = _seed_values(index, mean, seeds)[seed]
        found.append(_curve(index, label, "student", seed, end, epochs, shares=arm is not None))
    return found


def _curve(
    index: int, label: str, purpose: Literal["teacher", "student"], seed: int, end: float, epochs: int, *, shares: bool
) -> Curve:
    points = []
    for epoch in range(1, epochs + 1):
        wobble = 0.02 * math.sin(5 * epoch + 1.7 * seed + index) / epoch
        values = {"validation_accuracy": end - 0.75 * math.exp(-epoch / 3.2) + wobble, "train_loss": 2.3 / epoch}
        if shares:
            values["share.last"] = 0.2 + 0.25 * math.exp(-epoch / 5) + 0.02 * index + wobble
            values["share.second_last"] = 0.26 + 0.45 * math.exp(-epoch / 6) + 0.03 * index + wobble
        points.append(CurvePoint(epoch=epoch, values=values))
    return Curve(
        candidate_id=100 + index, label=label, purpose=purpose, seed=seed,
        probe_epochs=PROBE_EPOCHS if purpose == "student" else None, points=points,
    )  # fmt: skip
