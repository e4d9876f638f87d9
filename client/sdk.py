"""`Client`: the HTTP API as typed methods that return the wire schemas."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import ValidationError

from client.errors import NothingFound, ServerProblem, ServerUnreachable
from service.best_teacher.schemas import BestTeacher
from service.calibration.schemas import Calibration
from service.schemas import Problem, Wire
from service.selection_jobs.schemas import Job, JobList, JobState, Leaderboard, SelectionJobRequest

DEFAULT_SERVER = "http://127.0.0.1:8000"
FINAL_STATES: frozenset[JobState] = frozenset({"finished", "failed", "cancelled"})
_RETRIED_STATUSES = frozenset({502, 503, 504})

W = TypeVar("W", bound=Wire)


class Client:
    """Talks to one server; a context manager.

    Requests that may be repeated safely are tried again after a lost connection and after 502, 503 and 504: all reads,
    cancelling, and submissions, which carry an `Idempotency-Key`. Raises the errors of `client.errors`.
    """

    def __init__(
        self,
        base_url: str = DEFAULT_SERVER,
        *,
        transport: httpx.BaseTransport | None = None,
        attempts: int = 4,
        pause: float = 0.3,
    ) -> None:
        """`pause`: seconds before the second attempt; doubled before each further one."""
        self._http = httpx.Client(base_url=base_url, transport=transport, timeout=30.0)
        self._attempts = attempts
        self._pause = pause

    @property
    def base_url(self) -> str:
        """The server's address without a trailing slash."""
        return str(self._http.base_url).rstrip("/")

    def __enter__(self) -> Self:
        """Opens nothing: connections are made with the first request."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Closes the connections."""
        self._http.close()

    def submit(self, request: SelectionJobRequest, *, idempotency_key: str | None = None) -> Job:
        """Asks a question. The same key with the same request gives the same job; without one a new key is drawn."""
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        body = request.model_dump(mode="json", exclude_defaults=True)
        return self._ask(Job, "POST", "/selection-jobs", json=body, headers=headers)

    def jobs(self, *, before: str | None = None) -> JobList:
        """Jobs, newest first; `before`: `next_before` of the page before."""
        return self._ask(JobList, "GET", "/selection-jobs", params={} if before is None else {"before": before})

    def job(self, job_id: str) -> Job:
        """A job as it is now."""
        return self._ask(Job, "GET", f"/selection-jobs/{quote(job_id, safe='')}")

    def leaderboard(self, job_id: str) -> Leaderboard:
        """Everything known about a job."""
        return self._ask(Leaderboard, "GET", f"/selection-jobs/{quote(job_id, safe='')}/leaderboard")

    def cancel(self, job_id: str) -> Job:
        """Asks a job to stop; it shows `cancelled` once its processes are gone."""
        return self._ask(Job, "POST", f"/selection-jobs/{quote(job_id, safe='')}/cancel")

    def best_teacher(
        self, student: str, dataset: str, *, method: str | None = None, stamp: str | None = None
    ) -> BestTeacher:
        """The best-founded answer of the finished jobs about a student on a data set; `stamp`: under that protocol.

        Raises NothingFound where there is none; its `problem.type` ends in `:running` where a job is under way.
        """
        given = {"student": student, "dataset": dataset, "method": method, "stamp": stamp}
        params = {name: value for name, value in given.items() if value is not None}
        return self._ask(BestTeacher, "GET", "/best-teacher", params=params)

    def calibration(self, *, dataset: str | None = None, method: str | None = None) -> Calibration:
        """How often what the finished jobs stated came true."""
        params = {name: value for name, value in (("dataset", dataset), ("method", method)) if value is not None}
        return self._ask(Calibration, "GET", "/calibration", params=params)

    def report(self, job_id: str) -> str:
        """The leaderboard as one self-contained HTML file."""
        return self._send("GET", f"/selection-jobs/{quote(job_id, safe='')}/report").text

    def is_ready(self) -> bool:
        """Whether the server can serve requests now; a single try, False when nothing answers."""
        try:
            return self._http.get("/readyz", timeout=5.0).is_success
        except httpx.TransportError:
            return False

    def watch(self, job_id: str, *, every: float = 1.0) -> Iterator[Job]:
        """The job again and again, every `every` seconds, until it is over; the last one is in a final state.

        Polls: an answer is small, and a poll survives restarts of the server and proxies that cut streams.
        """
        while True:
            job = self.job(job_id)
            yield job
            if job.state in FINAL_STATES:
                return
            time.sleep(every)

    def _ask(
        self,
        kind: type[W],
        method: str,
        path: str,
        *,
        json: object = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> W:
        answer = self._send(method, path, json=json, headers=headers, params=params)
        try:
            return kind.model_validate_json(answer.content)
        except ValidationError:
            raise ServerUnreachable(
                f"What answers at {self.base_url} is not a DPK Select server of this version; check --server."
            ) from None

    def _send(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        for attempt in range(self._attempts):
            if attempt:
                time.sleep(self._pause * 2 ** (attempt - 1))
            last = attempt == self._attempts - 1
            try:
                answer = self._http.request(method, path, json=json, headers=headers, params=params)
            except httpx.UnsupportedProtocol:
                raise ServerUnreachable(f"{self.base_url!r} is no address of a server; try {DEFAULT_SERVER}.") from None
            except httpx.TransportError as error:
                if last:
                    raise ServerUnreachable(
                        f"Nothing answers at {self.base_url}; start one with `dpk serve` or name one with --server."
                    ) from error
                continue
            if answer.status_code not in _RETRIED_STATUSES or last:
                break
        if answer.is_error:
            raise _problem(answer)
        return answer


def _problem(answer: httpx.Response) -> ServerProblem:
    try:
        problem = Problem.model_validate_json(answer.content)
    except ValidationError:
        title = answer.reason_phrase or "Error"
        detail = (
            f"The server answered {answer.status_code} {title} to {answer.request.method} {answer.request.url.path}."
        )
        problem = Problem(type="about:blank", title=title, status=answer.status_code, detail=detail)
    return NothingFound(problem) if problem.status == 404 else ServerProblem(problem)
