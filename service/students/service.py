"""Which student of a job is taken away, and what goes with it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from sqlalchemy.orm import Session

from dpk_core import artifacts
from dpk_core.catalogue.dataset_check import DatasetCheck
from dpk_core.catalogue.datasets import dataset_check, dataset_license
from dpk_core.catalogue.detection.cards import box_dataset_check
from dpk_core.catalogue.detection.check import DetectionCheck
from dpk_core.catalogue.detection.detectors import kind_and_backbone
from dpk_core.catalogue.detection.postprocessing import postprocessing
from dpk_core.catalogue.models import model_card
from dpk_core.catalogue.own_models import own_model
from dpk_core.catalogue.weights import stated_license, word_for
from dpk_core.codec import from_json, to_json
from dpk_core.detection_settings import DetectionSettings
from dpk_core.disk import machine
from dpk_core.errors import ArtifactFault, DataFault, DiskFault, InvalidRequest
from dpk_core.protocol import ArtifactReference, Preprocessing, RunResult
from dpk_core.selection.decide.verdict import Verdict
from dpk_core.tasks import METRICS
from service.database.documents import read_stored
from service.database.session import reading
from service.database.tables import Run
from service.presentation.score_words import in_words
from service.presentation.student_card import student_card
from service.problems import Conflict, NotFound, Rejected, Unavailable
from service.scheduling import repository
from service.scheduling.plan import Plan
from service.scheduling.snapshot import ArmRuns, Snapshot
from service.schemas import FieldError
from service.selection_jobs.service import job_of
from service.settings import settings
from service.students.schemas import Student, WeightsFile

NO_TEACHER = "none"
"""How the arm without a teacher is asked for."""
_ENDED = {"failed": "failed", "cancelling": "is being cancelled", "cancelled": "was cancelled"}
"""What is said of a job in a state that gives no answer any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chosen:
    """A job's full trainings under one teacher by seed, and which of them is taken. `because`: why teacher and seed."""

    snapshot: Snapshot
    facts: Verdict | None
    arm: ArmRuns
    runs: Mapping[int, Run]
    seed: int
    because: str

    @property
    def result(self) -> RunResult:
        """What the training came to."""
        return from_json(RunResult, self.runs[self.seed].result)


def student(job_id: str, teacher: str | None, seed: int | None) -> Student:
    """The student that the verdict names, or that of `teacher`; of its seeds `seed`, else the median by validation.

    Opens its own transaction, and looks at the data set's files after it. Raises NotFound without such a job; Conflict
    while the job has no answer; Rejected for a teacher or seed without a full training.
    """
    found = _chosen(job_id, teacher, seed)
    plan, request, result = found.snapshot.plan, found.snapshot.job.request, found.result
    assert result.weights is not None
    assert result.preprocessing is not None
    arm_teacher = found.arm.candidate.teacher
    config = with_timm(_config(plan, result.preprocessing))
    stated = _licences(plan, arm_teacher)
    return Student(
        job=job_id, model=plan.student, teacher=arm_teacher, seed=found.seed, chosen=found.because,
        seeds=sorted(found.runs), validation_score=result.validation_score, test_score=result.test_score,
        weights=WeightsFile(
            path=weights_path(job_id, teacher, found.seed),
            sha256=result.weights.sha256, bytes=result.weights.bytes,
        ),
        program=_program(job_id, plan), config={**config, "licences": stated}, request=request,
        device=result.device_name, versions=result.versions or {}, task=plan.task, test_details=result.test_details,
        card=student_card(
            plan, request, found.facts, job=job_id, teacher=arm_teacher, seed=found.seed, chosen=found.because,
            result=result, classes=config["classes"], licences=stated,
        ),
    )  # fmt: skip


def trained_arms(session: Session, job_id: str) -> list[str | None]:
    """Teachers (None: without one) whose student can be taken, in the job's order. Raises NotFound."""
    snapshot = repository.snapshot(session, job_of(session, job_id))
    return [arm.candidate.teacher for arm in snapshot.arms if _full(arm, snapshot.plan)]


def weights(job_id: str, teacher: str | None, seed: int | None) -> bytes:
    """The safetensors file. Opens its own transaction. Raises as `student`; NotFound where the file is lost,
    Unavailable where the whole artifact root is."""
    reference = _chosen(job_id, teacher, seed).result.weights
    assert reference is not None
    return _content(reference, "weights file")


def program(job_id: str) -> bytes:
    """The checked program of an uploaded student. Opens its own transaction. Raises NotFound where the student is no
    upload, or its program is lost; Unavailable where the whole artifact root is."""
    with reading() as session:
        plan = repository.snapshot(session, job_of(session, job_id)).plan
    reference = _program_file(plan)
    if reference is None:
        raise NotFound(f"{plan.student} is no uploaded network: it is built by its name.")
    return _content(reference, "program")


def _chosen(job_id: str, teacher: str | None, seed: int | None) -> _Chosen:
    with reading() as session:
        snapshot = repository.snapshot(session, job_of(session, job_id))
        facts = _verdict(session, job_id)
    arm, why = _arm(snapshot, facts, teacher)
    runs = _full(arm, snapshot.plan)
    if not runs:
        raise Rejected.at("teacher", f"No training under {arm.label} came to its end with weights that were kept.")
    chosen, because = _seed(runs, seed, in_words(METRICS[snapshot.plan.task]))
    return _Chosen(snapshot=snapshot, facts=facts, arm=arm, runs=runs, seed=chosen, because=f"{why} {because}")


def _program(job_id: str, plan: Plan) -> WeightsFile | None:
    reference = _program_file(plan)
    if reference is None:
        return None
    path = f"/selection-jobs/{job_id}/student/program"
    return WeightsFile(path=path, sha256=reference.sha256, bytes=reference.bytes)


def _program_file(plan: Plan) -> ArtifactReference | None:
    own = own_model(plan.student)
    return None if own is None else own.file


def _content(reference: ArtifactReference, what: str) -> bytes:
    try:
        return artifacts.read(settings().resolved_artifact_root, reference)
    except ArtifactFault as error:
        raise NotFound(f"The {what} of this student is lost: {error}") from error
    except DiskFault as error:
        message = (
            f"The {what} of this student cannot be read now: the artifact root {settings().resolved_artifact_root} on "
            f"{machine()} is not there, or its disk fails. Put it back, then ask again."
        )
        raise Unavailable(message, [FieldError(field="artifacts", message=message)]) from error


def _verdict(session: Session, job_id: str) -> Verdict | None:
    newest = repository.newest_verdicts(session, [job_id]).get(job_id)
    return None if newest is None else read_stored(Verdict, newest.document)


def _arm(snapshot: Snapshot, facts: Verdict | None, teacher: str | None) -> tuple[ArmRuns, str]:
    """The arm, and why it is this one."""
    if teacher is not None:
        name = None if teacher == NO_TEACHER else teacher
        labels = [arm.candidate.teacher or NO_TEACHER for arm in snapshot.arms]
        if teacher not in labels:
            raise Rejected.at("teacher", f"The job has no teacher {teacher!r}; it has {', '.join(labels)}.")
        return snapshot.arm(name), "The teacher was asked for."
    if facts is None or not facts.final:
        raise Conflict(_unanswered(snapshot))
    if facts.kind == "undecided":
        raise Conflict(f"The job is undecided; name the teacher whose student you want, or {NO_TEACHER}.")
    if facts.best is None:
        return snapshot.arm(None), "The verdict is that no teacher helps."
    return snapshot.arm(facts.best), "The verdict names this teacher."


def _unanswered(snapshot: Snapshot) -> str:
    """Why the job names no teacher, and how a student can be had all the same."""
    state = snapshot.job.state
    if state in _ENDED:
        if any(_full(arm, snapshot.plan) for arm in snapshot.arms):
            return f"The job {_ENDED[state]}, so it names no teacher; name one whose training has ended."
        return f"The job {_ENDED[state]} before any student came to the end of its training: there is none to take."
    then = "resume it, as it is paused" if state == "paused" else "wait for it"
    return f"The job has no answer yet; {then}, or name a teacher whose training has ended."


def _full(arm: ArmRuns, plan: Plan) -> dict[int, Run]:
    """By seed, the full trainings whose weights are kept."""
    runs = {seed: by_epoch[plan.epochs] for seed, by_epoch in arm.students.items() if plan.epochs in by_epoch}
    return {
        seed: run
        for seed, run in sorted(runs.items())
        if run.state == "finished" and run.result and run.result.get("weights") and run.result.get("preprocessing")
    }


def _seed(runs: Mapping[int, Run], seed: int | None, metric: str) -> tuple[int, str]:
    if seed is not None:
        if seed not in runs:
            raise Rejected.at("seed", f"There is no full training with seed {seed}; there are {sorted(runs)}.")
        return seed, "The seed was asked for."
    order = sorted(runs, key=lambda each: ((runs[each].result or {})["validation_score"], each))
    median = order[(len(order) - 1) // 2]
    return median, f"Seed {median} is the median of {len(order)} by validation {metric}; the test split chose nothing."


def _config(plan: Plan, seen: Preprocessing) -> dict[str, Any]:
    canvas = seen.canvas
    size = [seen.side, seen.side] if canvas is None else [canvas.height, canvas.width]
    return {
        **({} if plan.student_recipe.detection is None else _detector(plan.student, plan.student_recipe.detection)),
        "model": plan.student, "architecture": plan.student, "num_classes": seen.classes,
        "classes": _class_names(plan), "input_size": [seen.channels, *size],
        "mean": [each / 255 for each in seen.mean], "std": [each / 255 for each in seen.deviation],
        "dataset": plan.dataset, "data_fingerprint": plan.data_fingerprint,
    }  # fmt: skip


def with_timm(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a student, of one of timm's models with what `timm.create_model` reads, by timm's names."""
    family, _, name = config["model"].partition("/")
    if family != "timm":
        return config
    sized = model_card(config["model"], "student").sides.sized
    channels, side, _ = config["input_size"]
    return {
        **config,
        "architecture": name,
        "model_args": {"in_chans": channels, **({"img_size": side} if sized else {})},
        "pretrained_cfg": {
            **{each: config[each] for each in ("num_classes", "input_size", "mean", "std")},
            "label_names": config["classes"], "interpolation": "bilinear", "crop_pct": 1.0, "first_conv": None,
            "classifier": None, "fixed_input_size": sized,
        },
    }  # fmt: skip


def _licences(plan: Plan, teacher: str | None) -> dict[str, str | None]:
    """By what it is of, the licence that is stated of the data and of the weights that student and teacher began with;
    None where none is."""
    found: dict[str, str | None] = {f"the data set {plan.dataset}": None}
    with suppress(DataFault, OSError):
        found = {f"the data set {plan.dataset}": dataset_license(plan.dataset, settings().data_root)}
    begun = [(plan.student, plan.student_start)]
    if teacher is not None:
        begun.append((plan.preparation(teacher).model, plan.preparation(teacher).start))
    for model, start in begun:
        if start is not None:
            what = f"the weights {model}@{word_for(model, start)}"
            found[what] = None
            with suppress(InvalidRequest):
                found[what] = stated_license(model, start, settings().weights_root)
    return found


def _detector(model: str, detection: DetectionSettings) -> dict[str, Any]:
    """How a detector is built, and how boxes are made of what its networks give."""
    kind = kind_and_backbone(model, "student")[0]
    settings, canvas = detection.of(kind), detection.canvas
    return {
        "task": "detection", "canvas": [canvas.height, canvas.width],
        "detector": {"settings": to_json(settings), **postprocessing(kind, settings)},
    }  # fmt: skip


def weights_path(job_id: str, teacher: str | None, seed: int) -> str:
    """The address of a student's weights. A teacher's name may be that of a file, with any character in it."""
    asked = {} if teacher is None else {"teacher": teacher}
    return f"/selection-jobs/{job_id}/student/weights?{urlencode(asked | {'seed': str(seed)})}"


def _class_names(plan: Plan) -> list[str] | None:
    """In the order of the network's outputs; None where the data set is not there any more as it was."""
    root, detection = settings().data_root, plan.student_recipe.detection
    try:
        check: DatasetCheck | DetectionCheck = (
            dataset_check(plan.dataset, root, "dataset")
            if detection is None
            else box_dataset_check(plan.dataset, root, detection, "dataset")
        )
    except (InvalidRequest, DataFault, OSError):
        return None
    return [each.name for each in check.classes] if check.fingerprint == plan.data_fingerprint else None
