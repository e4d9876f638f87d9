"""How `dpk gate` gets its answer: from what is known, or with --start from a job where that does not suffice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from client.errors import InputFault, JobEnded, NothingFound, TimeIsOver
from client.exit_codes import ExitCode
from client.gate_checks import Check, Demands, checks
from client.jobs import raise_if_ended
from client.sdk import Client
from client.submit import read_request
from client.teacher_text import read_teacher
from service.best_teacher.schemas import BestTeacher
from service.wire.jobs import SelectionJobRequest

Found = tuple[BestTeacher | None, list[Check]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What the gate asks. `request`: what a job is started with where one is needed; None: none is started."""

    student: str
    dataset: str
    method: str | None
    stamp: str | None
    request: SelectionJobRequest | None = None
    wait: bool = False
    timeout: float | None = None


def question(
    *, student: str | None, dataset: str | None, method: str | None, stamp: str | None, teachers: Sequence[str] | None,
    file: Path | None, start: bool, wait: bool, timeout: float | None,
) -> Question:  # fmt: skip
    """What the options ask. Raises InputFault where they do not go together."""
    if not start and (teachers or file is not None or wait or timeout is not None):
        raise InputFault("--teacher, --request, --wait and --timeout are for starting a job; give them with --start.")
    if start and (file is None) == (not teachers):
        raise InputFault("--start needs to know what to ask: give --teacher for each teacher, or --request FILE.")
    if start and stamp is not None:
        raise InputFault("--stamp looks up an answer of before; it does not go with --start.")
    if timeout is not None and not wait:
        raise InputFault("--timeout is for following a job; give it with --wait.")
    typed: dict[str, Any] = {"student": student, "dataset": dataset, "method": method}
    given = {name: value for name, value in typed.items() if value is not None}
    if file is not None:
        if given:
            raise InputFault(f"--request says what is asked; leave out {', '.join(f'--{name}' for name in given)}.")
        request = read_request(file, {})
    elif start and teachers:
        request = read_request(None, {**given, "teachers": [read_teacher(text) for text in teachers]})
    else:
        request = None
    if request is not None:
        student, dataset, method = request.student.label, request.dataset, request.method.name
    if student is None or dataset is None:
        raise InputFault("Give --student and --dataset.")
    return Question(
        student=student, dataset=dataset, method=method, stamp=stamp, request=request, wait=wait, timeout=timeout
    )


def found(client: Client, asked: Question, demands: Demands, notice: Callable[[str], None]) -> Found:
    """The answer and how every demand stands. `notice` is called with what is going on."""
    stamp = asked.stamp
    if asked.request is not None:
        started = client.ask_best_teacher(asked.request, max_age=demands.max_age)
        stamp = started.stamp
        if started.job is not None:
            notice(f"{started.because} Job {started.job.id}: {started.job.headline}")
            try:
                if asked.wait:
                    *_, job = client.watch(started.job.id, timeout=asked.timeout, notice=notice)
                    raise_if_ended(job)
            except (JobEnded, TimeIsOver) as error:
                return None, [Check(name="answer", passed=False, message=str(error), code=error.exit_code)]
    try:
        best = client.best_teacher(asked.student, asked.dataset, method=asked.method, stamp=stamp)
    except NothingFound as error:
        code = ExitCode.RUNNING if error.problem.type.endswith(":running") else ExitCode.NOTHING_FOUND
        return None, [Check(name="answer", passed=False, message=str(error), code=code)]
    return best, checks(best, demands)
