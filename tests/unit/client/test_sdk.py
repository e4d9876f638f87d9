"""The typed client against a transport that answers as told."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from client.errors import ClientError, NothingFound, ServerProblem, ServerUnreachable
from client.sdk import Client
from service.calibration.examples import CALIBRATION
from service.schemas import FieldError, Problem
from service.selection_jobs.schemas import JobList, SelectionJobRequest
from tests.unit.web import sample

REQUEST = SelectionJobRequest(student="a/b", dataset="digits", teachers=["a/c"])
Handler = Callable[[httpx.Request], httpx.Response]


def _client(handler: Handler) -> Client:
    return Client("http://server", transport=httpx.MockTransport(handler), pause=0)


def test_calibration_is_asked_of_what_is_given() -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        assert str(request.url) == "http://server/calibration?method=kd"
        return httpx.Response(200, json=CALIBRATION)

    with _client(handle) as client:
        assert client.calibration(method="kd").claims == 12


class TestRetries:
    def test_a_read_survives_a_lost_connection_and_a_bad_gateway(self) -> None:
        answers = iter([httpx.ConnectError("refused"), httpx.Response(502), sample.job()])
        seen = []

        def handle(request: httpx.Request) -> httpx.Response:
            seen.append(request)
            match next(answers):
                case httpx.Response() as response:
                    return response
                case Exception() as error:
                    raise error
                case job:
                    return httpx.Response(200, text=job.model_dump_json())

        with _client(handle) as client:
            assert client.job("1") == sample.job()
        assert len(seen) == 3

    def test_a_submission_is_repeated_under_one_key(self) -> None:
        keys = []

        def handle(request: httpx.Request) -> httpx.Response:
            keys.append(request.headers["Idempotency-Key"])
            return httpx.Response(503) if len(keys) < 3 else httpx.Response(202, text=sample.job().model_dump_json())

        with _client(handle) as client:
            client.submit(REQUEST)
        assert len(keys) == 3
        assert len(set(keys)) == 1

    def test_the_callers_key_is_sent(self) -> None:
        def handle(request: httpx.Request) -> httpx.Response:
            assert request.headers["Idempotency-Key"] == "build-7"
            return httpx.Response(202, text=sample.job().model_dump_json())

        with _client(handle) as client:
            assert client.submit(REQUEST, idempotency_key="build-7").id == sample.JOB_ID

    def test_gives_up_with_a_sentence(self) -> None:
        def handle(request: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("refused")

        with _client(handle) as client, pytest.raises(ServerUnreachable, match="Nothing answers at http://server;"):
            client.jobs()

    def test_an_error_of_the_request_is_not_repeated(self) -> None:
        seen = []

        def handle(request: httpx.Request) -> httpx.Response:
            seen.append(request)
            return httpx.Response(422, text="{}")

        with _client(handle) as client, pytest.raises(ServerProblem):
            client.submit(REQUEST)
        assert len(seen) == 1


class TestProblems:
    def _raised(self, problem: Problem) -> ClientError:
        with (
            _client(lambda _: httpx.Response(problem.status, text=problem.model_dump_json())) as client,
            pytest.raises(ClientError) as caught,
        ):
            client.submit(REQUEST)
        return caught.value

    def test_one_error_is_one_sentence_with_the_nearest_choice(self) -> None:
        error = FieldError(field="student", message="There is no model 'a/b'.", nearest="a/c")
        raised = self._raised(
            Problem(type="t", title="T", status=422, detail="student: There is no model 'a/b'.", errors=[error])
        )
        assert str(raised) == "student: There is no model 'a/b'. Nearest valid choice: a/c."
        assert raised.exit_code == 2

    def test_several_errors_are_listed(self) -> None:
        errors = [FieldError(field=field, message="Wrong.") for field in ("student", "dataset")]
        raised = self._raised(Problem(type="t", title="T", status=422, detail="Wrong.", errors=errors))
        assert str(raised).splitlines() == ["Several things are wrong:", "  student: Wrong.", "  dataset: Wrong."]

    def test_not_found_is_its_own_error(self) -> None:
        raised = self._raised(Problem(type="t", title="T", status=404, detail="There is no such job."))
        assert isinstance(raised, NothingFound)
        assert raised.exit_code == 1

    def test_what_is_no_problem_document_still_is_a_sentence(self) -> None:
        with (
            _client(lambda _: httpx.Response(500, text="<html>")) as client,
            pytest.raises(ServerProblem, match=r"answered 500 Internal Server Error to GET /selection-jobs/1\."),
        ):
            client.job("1")

    def test_another_kind_of_server_is_recognised(self) -> None:
        with (
            _client(lambda _: httpx.Response(200, text="<html>welcome</html>")) as client,
            pytest.raises(ServerUnreachable, match="not a DPK Select server"),
        ):
            client.job("1")


class TestReads:
    def test_watch_ends_with_the_final_state(self) -> None:
        moments = iter(
            [sample.job("queued", "queued"), sample.job("running", "exploring"), sample.job("finished", "finished")]
        )
        with _client(lambda _: httpx.Response(200, text=next(moments).model_dump_json())) as client:
            assert [job.state for job in client.watch("1", every=0)] == ["queued", "running", "finished"]

    def test_a_job_id_stays_one_segment(self) -> None:
        def handle(request: httpx.Request) -> httpx.Response:
            assert request.url.raw_path == b"/selection-jobs/..%2Fhealthz%3Fx"
            return httpx.Response(200, text=sample.job().model_dump_json())

        with _client(handle) as client:
            client.job("../healthz?x")

    def test_the_next_page_is_asked_for(self) -> None:
        def handle(request: httpx.Request) -> httpx.Response:
            assert dict(request.url.params) == {"before": "abc"}
            return httpx.Response(200, text=JobList(jobs=[sample.job()], next_before=None).model_dump_json())

        with _client(handle) as client:
            assert client.jobs(before="abc").jobs == [sample.job()]
