"""A tiny real HTTP server that answers as it is told, and the command run in this process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pydantic import BaseModel

from client.command import main
from client.connection import NOT_FOUND
from service.schemas import FieldError, Problem


@dataclass
class Asked:
    """A request that arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: str


@dataclass
class FakeServer:
    """Answers by method and path; several answers to one are given in turn, the last one for ever."""

    url: str = ""
    answers: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def answer(self, request: str, *bodies: BaseModel | str, status: int = 200) -> None:
        """Sets the answers to e.g. `GET /selection-jobs/1`."""
        texts = [body if isinstance(body, str) else body.model_dump_json() for body in bodies]
        self.answers.setdefault(request, []).extend((status, text) for text in texts)

    def problem(self, request: str, status: int, detail: str, *errors: FieldError) -> None:
        """Makes a problem the answer."""
        kind = NOT_FOUND if status == 404 else "about:blank"
        problem = Problem(type=kind, title="Wrong", status=status, detail=detail, errors=list(errors))
        self.answer(request, problem, status=status)

    def next_answer(self, request: str) -> tuple[int, str]:
        """The answer whose turn it is; 404 with no body when there is none."""
        answers = self.answers.get(request, [(404, "")])
        return answers.pop(0) if len(answers) > 1 else answers[0]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """A running server; `dpk` finds it through DPK_SERVER."""
    fake = FakeServer()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            fake.asked.append(Asked(self.command, self.path, dict(self.headers), body))
            status, text = fake.next_answer(f"{self.command} {self.path}")
            self.send_response(status)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = do_PATCH = answer

        def log_message(self, *_arguments: object) -> None:
            """Says nothing."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    fake.url = f"http://127.0.0.1:{http.server_port}"
    monkeypatch.setenv("DPK_SERVER", fake.url)
    yield fake
    http.shutdown()
    thread.join()
    http.server_close()


@dataclass
class Outcome:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


@pytest.fixture
def dpk(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Runs a `dpk` command line."""

    def run(*arguments: str) -> Outcome:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        said = capsys.readouterr()
        code = ended.value.code
        return Outcome(code if isinstance(code, int) else 0 if code is None else 1, said.out, said.err)

    return run
