"""`Client`: the HTTP API as typed methods that return the wire schemas."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from client.address import DEFAULT_SERVER
from client.connection import SECONDS, Ask, Connection
from client.errors import InputFault, ServerUnreachable
from client.import_calls import ImportCalls
from client.notebook import NotebookLeaderboard
from client.watching import PATIENCE, Watch, watch
from client.webhook_calls import WebhookCalls
from service.best_teacher.schemas import AskedBestTeacher, BestTeacher
from service.calibration.schemas import Calibration
from service.datasets.schemas import AnyDataset, BoxDataset, Dataset, DatasetList
from service.job_runs.schemas import JobLog, JobRunDetails, JobRunList
from service.methods.schemas import MethodList, RecipeList
from service.models.schemas import ModelList, ModelView
from service.students.schemas import Student, WeightsFile
from service.wire.boards import Leaderboard
from service.wire.choices import TeacherChoice
from service.wire.jobs import Job, JobDescription, JobList, SelectionJobRequest, Sort, TeacherRequest

UPLOAD_SECONDS = 600.0
"""A server may check other files first."""

W = TypeVar("W", bound=BaseModel)

CHECK_SECONDS = 600.0
"""Patience with the first look at a data set, which reads its files."""


class Client(WebhookCalls, ImportCalls):
    """Talks to one server; a context manager.

    Requests that may be repeated safely are tried again after a lost connection and after 502, 503 and 504: all reads,
    cancelling and other actions on a job, and submissions, which carry an `Idempotency-Key`. Raises the errors of
    `client.errors`.
    """

    def __init__(
        self,
        base_url: str = DEFAULT_SERVER,
        *,
        transport: httpx.BaseTransport | None = None,
        attempts: int = 4,
        pause: float = 0.3,
        proxies: bool = True,
    ) -> None:
        """`base_url` may leave out `http://` and may have a path. `pause`: seconds before the second attempt; doubled
        before each further one. `proxies`: whether to use the environment's; this machine is reached without.

        Raises InputFault when the address, or a proxy or certificate variable of the environment, cannot be used.
        """
        self._connection = Connection(base_url, transport=transport, attempts=attempts, pause=pause, proxies=proxies)

    @property
    def base_url(self) -> str:
        """The server's address without trailing slash, user name and password; links in answers are relative to it."""
        return self._connection.address

    def __enter__(self) -> Self:
        """Opens nothing: connections are made with the first request."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Closes the connections."""
        self._connection.close()

    def submit(
        self,
        request: SelectionJobRequest | Mapping[str, Any] | None = None,
        *,
        idempotency_key: str | None = None,
        **fields: Any,
    ) -> Job:
        """Asks a question: a SelectionJobRequest, a dict of its fields, or the fields as keyword arguments.

        The same key with the same request gives the same job; without one a new key is drawn. Raises InputFault.
        """
        body = _request(request, fields).model_dump(mode="json", exclude_defaults=True)
        headers = {"Idempotency-Key": _key(idempotency_key)}
        return self._ask(Job, "POST", "/selection-jobs", json=body, headers=headers)

    def jobs(
        self, *, before: str | None = None, state: str | None = None, prefix: str | None = None, limit: int = 50,
        search: str = "", tag: str | None = None, student: str | None = None, dataset: str | None = None,
        method: str | None = None, sort: Sort = "newest",
    ) -> JobList:  # fmt: skip
        """Jobs in the order `sort`; `before`: `next_before` of the page before; `prefix`: the beginning of their ids;
        `search`: words that occur in name, tags, student, data set, method or teachers."""
        given = {"before": before, "state": state, "prefix": prefix, "limit": None if limit == 50 else str(limit),
                 "search": search or None, "tag": tag, "student": student, "dataset": dataset, "method": method,
                 "sort": None if sort == "newest" else sort}  # fmt: skip
        params = {name: value for name, value in given.items() if value is not None}
        return self._ask(JobList, "GET", "/selection-jobs", params=params)

    def full_id(self, job: str) -> str:
        """A job's id from its beginning; what is no beginning of one is given back. Raises InputFault for several."""
        if not re.fullmatch("[0-9a-f]{4,31}", job):
            return job
        found = [each.id for each in self.jobs(prefix=job, limit=5).jobs]
        if len(found) > 1:
            raise InputFault(f"Several jobs begin with {job}: {', '.join(found)}. Give more of the id.")
        return found[0] if found else job

    def job(self, job_id: str) -> Job:
        """A job as it is now."""
        return self._ask(Job, "GET", _path(job_id))

    def request(self, job_id: str) -> SelectionJobRequest:
        """What the job was asked for, with every default filled in; `submit` takes it again."""
        return self._ask(SelectionJobRequest, "GET", _path(job_id, "/request"))

    def leaderboard(self, job_id: str) -> Leaderboard:
        """Everything known about a job. A notebook shows it as a table."""
        return self._ask(NotebookLeaderboard, "GET", _path(job_id, "/leaderboard"))

    def runs(self, job_id: str) -> JobRunList:
        """Every training of a job."""
        return self._ask(JobRunList, "GET", _path(job_id, "/runs"))

    def run(self, job_id: str, run_id: str) -> JobRunDetails:
        """One training with what it measured."""
        return self._ask(JobRunDetails, "GET", _path(job_id, f"/runs/{quote(run_id, safe='')}"))

    def full_run_id(self, job_id: str, run: str) -> str:
        """The id of a job's run from its beginning. Raises InputFault where not exactly one begins so."""
        found = [each.id for each in self.runs(job_id).runs if each.id.startswith(run)]
        if len(found) != 1:
            several = f"Several runs of the job begin with {run}: {', '.join(found)}. Give more of the id."
            raise InputFault(several if found else f"No run of the job begins with {run}; `dpk runs` lists them.")
        return found[0]

    def log(self, job_id: str, *, after: int = 0) -> JobLog:
        """What happened to a job, in words; `after`: `next_after` of the part before."""
        return self._ask(JobLog, "GET", _path(job_id, "/log"), params={"after": str(after)})

    def table(self, job_id: str, table: str = "leaderboard", form: str = "csv") -> bytes:
        """The leaderboard or the runs as a file in csv, json or parquet."""
        ask = Ask(method="GET", path=_path(job_id, "/table"), params={"table": table, "format": form})
        return self._connection.send(ask).content

    def cancel(self, job_id: str) -> Job:
        """Asks a job to stop; it shows `cancelled` once its processes are gone."""
        return self._ask(Job, "POST", _path(job_id, "/cancel"))

    def pause(self, job_id: str) -> Job:
        """Begins nothing new; what trains stops at its checkpoint. The job is `paused` until it is resumed."""
        return self._ask(Job, "POST", _path(job_id, "/pause"))

    def resume(self, job_id: str) -> Job:
        """Lets a paused job go on from its checkpoints."""
        return self._ask(Job, "POST", _path(job_id, "/resume"))

    def retry(self, job_id: str, *, run: str | None = None, teacher: str | None = None) -> Job:
        """Tries again what failed: the arm of a failed `run`, of a `teacher` (`none`: without one), or everything.

        Tried once: after a lost answer a second try might begin what has failed again in the meantime.
        """
        params = {name: value for name, value in {"run": run, "teacher": teacher}.items() if value is not None}
        return self._ask(Job, "POST", _path(job_id, "/retry"), params=params, attempts=None if run else 1)

    def add_teacher(self, job_id: str, teacher: TeacherChoice | Mapping[str, Any] | str) -> Job:
        """Compares another teacher too; adding it again changes nothing. Raises InputFault."""
        try:
            wanted = TeacherRequest.model_validate({"teacher": teacher})
        except ValidationError as error:
            raise InputFault.of(error) from None
        body = wanted.model_dump(mode="json")
        return self._ask(Job, "POST", _path(job_id, "/teachers"), json=body, seconds=CHECK_SECONDS)

    def describe(self, job_id: str, wanted: JobDescription) -> Job:
        """Gives a job another name or other tags; fields that were not set stay as they are."""
        body = wanted.model_dump(mode="json", exclude_unset=True)
        return self._ask(Job, "PATCH", _path(job_id), json=body)

    def best_teacher(
        self, student: str, dataset: str, *, method: str | None = None, stamp: str | None = None
    ) -> BestTeacher:
        """The best-founded answer of the finished jobs about a student on a data set; `stamp`: under that protocol.

        Raises NothingFound where there is none; its `problem.type` ends in `:running` where a job is under way.
        """
        given = {"student": student, "dataset": dataset, "method": method, "stamp": stamp}
        params = {name: value for name, value in given.items() if value is not None}
        return self._ask(BestTeacher, "GET", "/best-teacher", params=params)

    def ask_best_teacher(
        self,
        request: SelectionJobRequest | Mapping[str, Any] | None = None,
        *,
        max_age: float | None = None,
        **fields: Any,
    ) -> AskedBestTeacher:
        """The answer where it is known, decided, fresh and at most `max_age` seconds old, else the job that is to give
        it: the same one however often the question is asked. Takes a request as `submit` does. Raises InputFault."""
        body = _request(request, fields).model_dump(mode="json", exclude_defaults=True)
        if max_age is not None:
            body["max_age_seconds"] = max_age
        return self._ask(AskedBestTeacher, "POST", "/best-teacher", json=body)

    def datasets(self) -> DatasetList:
        """The data sets that jobs can ask for."""
        return self._ask(DatasetList, "GET", "/datasets")

    def dataset(self, name: str) -> Dataset | BoxDataset:
        """What is known of a data set; the first answer about new files may take minutes. Raises NothingFound."""
        path = quote(name)
        if not path.strip("./"):
            raise InputFault(f"{name!r} is no data set; `dpk datasets` names those that are there.")
        return self._ask(AnyDataset, "GET", f"/datasets/{path}", seconds=CHECK_SECONDS).root

    def calibration(self, *, dataset: str | None = None, method: str | None = None) -> Calibration:
        """How often what the finished jobs stated came true."""
        params = {name: value for name, value in (("dataset", dataset), ("method", method)) if value is not None}
        return self._ask(Calibration, "GET", "/calibration", params=params)

    def models(self, *, search: str = "", source: str | None = None, limit: int = 50, after: str = "") -> ModelList:
        """Models whose names have every word of `search`, by name; `after`: `next_after` of the page before."""
        given = {"search": search, "source": source, "limit": str(limit), "after": after}
        return self._ask(ModelList, "GET", "/models", params={name: value for name, value in given.items() if value})

    def methods(self) -> MethodList:
        """Every distillation method, with what it needs and its settings."""
        return self._ask(MethodList, "GET", "/methods")

    def recipes(self) -> RecipeList:
        """Every training recipe, with its settings."""
        return self._ask(RecipeList, "GET", "/recipes")

    def add_model(self, file: Path, name: str) -> ModelView:
        """Uploads what `torch.export.save` wrote, or a CNN as ONNX.

        Its full name, with digits of its hash, is in the answer. Sending the same file again changes nothing.
        The server checks the file, which may take minutes.
        """
        ask = Ask(method="POST", path="/models", file=file, params={"name": name}, seconds=UPLOAD_SECONDS)
        return self._connection.read(ModelView, ask)

    def student(self, job_id: str, *, teacher: str | None = None, seed: int | None = None) -> Student:
        """A finished job's trained student; by default that of the teacher that the verdict names, its median seed."""
        given = {"teacher": teacher, "seed": None if seed is None else str(seed)}
        params = {name: value for name, value in given.items() if value is not None}
        return self._ask(Student, "GET", _path(job_id, "/student"), params=params)

    def student_weights(self, student: Student) -> bytes:
        """Its weights, a safetensors file. Raises ServerUnreachable where they do not arrive whole."""
        return self._file(student.weights)

    def student_program(self, student: Student) -> bytes | None:
        """Of an uploaded network, the program that it is built from. Raises as `student_weights`."""
        return None if student.program is None else self._file(student.program)

    def _file(self, file: WeightsFile) -> bytes:
        content = self._connection.send(Ask(method="GET", path=file.path, seconds=UPLOAD_SECONDS)).content
        if hashlib.sha256(content).hexdigest() != file.sha256:
            raise ServerUnreachable(f"{file.path} did not arrive whole; try again.")
        return content

    def report(self, job_id: str) -> str:
        """The leaderboard as one self-contained HTML file."""
        return self._connection.send(Ask(method="GET", path=_path(job_id, "/report"))).text

    def is_ready(self) -> bool:
        """Whether the server can serve requests now; a single try, False when nothing answers."""
        return self._connection.answers("/readyz", seconds=5.0)

    def watch(
        self,
        job_id: str,
        *,
        every: float = 1.0,
        timeout: float | None = None,
        patience: float = PATIENCE,
        notice: Callable[[str], None] = lambda _sentence: None,
        while_away: Callable[[], None] = lambda: None,
    ) -> Iterator[Job]:
        """The job again and again, every `every` seconds, until it is over; the last one is in a final state.

        After `timeout` seconds raises TimeIsOver; the job goes on. The server may be away for `patience`
        seconds: `notice` is called with a sentence when it is away and when it is back, and `while_away` is
        called meanwhile. Polls: an answer is small, and a poll survives restarts and proxies that cut streams.
        """
        how = Watch(every=every, timeout=timeout, patience=patience, notice=notice, while_away=while_away)

        def look(seconds: float) -> Job:
            return self._ask(Job, "GET", _path(job_id), seconds=min(SECONDS, seconds), attempts=1)

        return watch(look, how, self.base_url)

    def _ask(
        self,
        kind: type[W],
        method: str,
        path: str,
        *,
        json: object = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        attempts: int | None = None,
        seconds: float = SECONDS,
    ) -> W:
        ask = Ask(
            method=method, path=path, json=json, headers=headers, params=params, attempts=attempts, seconds=seconds
        )
        return self._connection.read(kind, ask)


def _request(request: SelectionJobRequest | Mapping[str, Any] | None, fields: Mapping[str, Any]) -> SelectionJobRequest:
    if isinstance(request, SelectionJobRequest) and not fields:
        return request
    if not (request is None or (isinstance(request, Mapping) and not fields)):
        raise InputFault(
            "submit takes one SelectionJobRequest, or one dict of its fields, or the fields as keyword arguments: "
            "submit(student=…, dataset=…, teachers=[…])."
        )
    try:
        return SelectionJobRequest.model_validate(dict(fields if request is None else request))
    except ValidationError as error:
        raise InputFault.of(error) from None


def _key(given: str | None) -> str:
    if given is None:
        return str(uuid.uuid4())
    if not (given and given.isascii() and given.isprintable() and given == given.strip()):
        raise InputFault("Idempotency-Key: This must be printable ASCII characters, without spaces at its ends.")
    return given


def _path(job_id: str, below: str = "") -> str:
    """The path of a job. An id is one segment of it, whatever its characters."""
    segment = quote(job_id, safe="")
    if not segment.strip("."):
        raise InputFault(f"{job_id!r} is no job; give the id that `dpk submit` printed.")
    return f"/selection-jobs/{segment}{below}"
