"""The typed client against a transport that answers as told."""

from __future__ import annotations

import json
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from client import VERSION
from client.connection import NOT_FOUND
from client.errors import (
    ClientError,
    ForeignAnswer,
    InputFault,
    NothingFound,
    ServerProblem,
    ServerUnreachable,
    VersionMismatch,
)
from client.exit_codes import ExitCode
from client.sdk import Client
from service.calibration.examples import CALIBRATION
from service.schemas import FieldError, Problem
from service.wire.boards import Leaderboard
from service.wire.jobs import JobList, SelectionJobRequest
from tests.unit.web import sample

REQUEST = SelectionJobRequest(student="a/b", dataset="digits", teachers=["a/c"])
Handler = Callable[[httpx.Request], httpx.Response]


def _client(handler: Handler) -> Client:
    return Client("http://server", transport=httpx.MockTransport(handler), pause=0)


def _never(_request: httpx.Request) -> httpx.Response:
    raise AssertionError("nothing is to be sent")


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

    def test_the_pause_that_a_server_asks_for_is_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pauses: list[float] = []
        monkeypatch.setattr(time, "sleep", pauses.append)
        busy = httpx.Response(503, headers={"Retry-After": "2"})
        answers = iter([busy, httpx.Response(503), httpx.Response(200, text=sample.job().model_dump_json())])
        with _client(lambda _: next(answers)) as client:
            client.job("1")
        assert pauses == [2.0, 0]

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
        raised = self._raised(Problem(type=NOT_FOUND, title="T", status=404, detail="There is no such job."))
        assert isinstance(raised, NothingFound)
        assert raised.exit_code == ExitCode.NOTHING_FOUND

    def test_what_is_no_problem_document_still_is_a_sentence(self) -> None:
        with (
            _client(lambda _: httpx.Response(500, text="<html>")) as client,
            pytest.raises(ServerProblem, match=r"answered 500 Internal Server Error to GET /selection-jobs/1\."),
        ):
            client.job("1")

    @pytest.mark.parametrize(
        "answer",
        [
            httpx.Response(200, text="<html>welcome</html>"),
            httpx.Response(200, json={"experiments": []}),
            httpx.Response(200, json=[]),
            httpx.Response(404, text="<html>no such page</html>"),
            httpx.Response(404, json={"detail": "Not Found"}),
            httpx.Response(404, json={"type": "about:blank", "title": "T", "status": 404, "detail": "Nothing at /x."}),
        ],
    )
    def test_another_kind_of_server_is_recognised(self, answer: httpx.Response) -> None:
        with (
            _client(lambda _: answer) as client,
            pytest.raises(ForeignAnswer, match=r"^What answers at http://server is not a DPK Select server \("),
        ):
            client.job("1")

    def test_a_server_that_moved_says_where(self) -> None:
        moved = httpx.Response(301, headers={"Location": "https://server/"})
        with _client(lambda _: moved) as client, pytest.raises(ForeignAnswer, match="points to https://server/; give"):
            client.job("1")


class TestVersions:
    def test_fields_that_are_not_known_are_left_out(self) -> None:
        document = json.loads(sample.leaderboard().model_dump_json())
        document["new"] = document["job"]["new"] = document["job"]["request"]["new"] = 1
        document["job"]["request"]["budget"]["new"] = document["rows"][0]["new"] = {"deep": True}
        document["job"]["request"]["teachers"][0] = {"model": "cifar/resnet8w8", "new": 1}
        with _client(lambda _: httpx.Response(200, json=document)) as client:
            assert client.leaderboard("1").rows == sample.leaderboard().rows

    def test_nor_are_they_in_an_answer_that_is_read_from_a_file(self) -> None:
        document = json.loads(sample.leaderboard().model_dump_json())
        asked = document["job"]["request"]
        asked["new"] = asked["budget"]["new"] = {"deep": True}
        asked["teachers"][0] = {"model": "cifar/resnet8w8", "preprocessing": {"mean": 0.5, "new": 1}}
        asked["method"] = {"name": "dpk", "share": {"floor": 0.2, "new": 1}}
        assert Leaderboard.model_validate(document).rows == sample.leaderboard().rows
        with pytest.raises(ValidationError, match="extra_forbidden"):
            SelectionJobRequest.model_validate(asked)

    def test_a_problem_may_have_more_fields_too(self) -> None:
        problem = {"type": NOT_FOUND, "title": "T", "status": 404, "detail": "No job.", "errors": [], "instance": "/x"}
        with (
            _client(lambda _: httpx.Response(404, json=problem)) as client,
            pytest.raises(NothingFound, match="No job"),
        ):
            client.job("1")

    def test_a_value_that_is_not_known_is_a_newer_server(self) -> None:
        document = json.loads(sample.job().model_dump_json()) | {"state": "resting"}
        with (
            _client(lambda _: httpx.Response(200, json=document)) as client,
            pytest.raises(
                VersionMismatch, match=r"newer than this client \(.*\), which does not know 'resting' as state"
            ),
        ):
            client.job("1")

    def test_a_field_that_is_missing_is_another_version(self) -> None:
        document = json.loads(sample.job().model_dump_json())
        del document["revision"]
        with (
            _client(lambda _: httpx.Response(200, json=document)) as client,
            pytest.raises(VersionMismatch, match=r"is of another version than this client .*: revision: "),
        ):
            client.job("1")

    def test_requests_still_refuse_them(self) -> None:
        with (
            _client(_never) as client,
            pytest.raises(InputFault, match=r"^sedes: There is no such field\. Nearest valid choice: seeds\.$"),
        ):
            client.submit({"student": "a/b", "dataset": "digits", "teachers": ["a/c"], "sedes": 3})


def test_the_version_is_that_of_the_package() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION


class TestSubmit:
    @pytest.mark.parametrize("as_keywords", [False, True])
    def test_takes_fields(self, as_keywords: bool) -> None:
        def handle(request: httpx.Request) -> httpx.Response:
            assert json.loads(request.content) == fields
            return httpx.Response(202, text=sample.job().model_dump_json())

        fields: dict[str, Any] = {"student": "a/b", "dataset": "digits", "teachers": ["a/c"], "seeds": 2}
        fields["method"] = {"name": "dpk", "feature_weight": 3.0, "share": {"lag": True}}
        fields["recipe"] = {"name": "cifar100", "clip_norm": None, "milestones": [3, 4]}
        with _client(handle) as client:
            assert (client.submit(**fields) if as_keywords else client.submit(fields)).id == sample.JOB_ID

    @pytest.mark.parametrize(
        ("request_", "fields"),
        [("a/b", {}), (["a/b"], {}), (REQUEST, {"seeds": 2}), ({"student": "a/b"}, {"seeds": 2})],
    )
    def test_wrong_use_says_how(self, request_: Any, fields: dict[str, Any]) -> None:
        with (
            _client(_never) as client,
            pytest.raises(InputFault, match=r"submit\(student=…, dataset=…"),
        ):
            client.submit(request_, **fields)


class TestReads:
    def test_watch_ends_with_the_final_state(self) -> None:
        moments = iter(
            [sample.job("queued", "queued"), sample.job("running", "exploring"), sample.job("finished", "finished")]
        )
        with _client(lambda _: httpx.Response(200, text=next(moments).model_dump_json())) as client:
            assert [job.state for job in client.watch("1", every=0)] == ["queued", "running", "finished"]

    @pytest.mark.parametrize("job_id", ["", ".", ".."])
    def test_an_id_that_names_no_job_is_not_sent(self, job_id: str) -> None:
        with (
            _client(_never) as client,
            pytest.raises(InputFault, match="is no job; give the id"),
        ):
            client.job(job_id)

    def test_a_path_of_the_server_is_kept(self) -> None:
        def handle(request: httpx.Request) -> httpx.Response:
            assert str(request.url) == "https://server/dpk/selection-jobs/1"
            return httpx.Response(200, text=sample.job().model_dump_json())

        with Client("https://server/dpk/", transport=httpx.MockTransport(handle)) as client:
            assert f"{client.base_url}{client.job('1').links.page}" == f"https://server/dpk/jobs/{sample.JOB_ID}"

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
