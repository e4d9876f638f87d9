"""The supervisor with real, small processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from client import processes
from client.errors import ClientError, InputFault
from client.processes import Part, Supervisor, claim_port


def _part(name: str, code: str) -> Part:
    return Part(name=name, arguments=("-c", textwrap.dedent(code)))


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


STUBBORN = """
    import os, pathlib, signal, subprocess, sys, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    pathlib.Path(os.environ["PIDS"]).write_text(f"{os.getpid()} {child.pid}")
    time.sleep(600)
"""


PARENT = """
    import time
    from client.processes import Part, Supervisor
    sleep = "import os, pathlib, time; pathlib.Path(os.environ['PIDS']).write_text(str(os.getpid())); time.sleep(600)"
    with Supervisor([Part(name="api", arguments=("-c", sleep))], {}):
        time.sleep(600)
"""


class TestSupervisor:
    def test_nothing_is_left_behind_even_of_a_part_that_does_not_listen(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(processes, "STOP_SECONDS", 0.2)
        pids = tmp_path / "pids"
        with Supervisor([_part("stubborn", STUBBORN)], {"PIDS": str(pids)}):
            _until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
        numbers = [int(number) for number in pids.read_text().split()]
        _until(lambda: not any(_alive(number) for number in numbers))

    def test_a_part_that_dies_is_started_again(self, tmp_path: Path) -> None:
        code = "import os, pathlib; pathlib.Path(os.environ['FILE']).open('a').write('x'); raise SystemExit(3)"
        notices: list[str] = []
        with Supervisor([_part("api", code)], {"FILE": str(tmp_path / "starts")}, notice=notices.append) as supervisor:

            def started_twice() -> bool:
                supervisor.tend()
                return (tmp_path / "starts").exists() and len((tmp_path / "starts").read_text()) >= 2

            _until(started_twice)
        assert notices[0] == "The api process ended with 3; starting it again in 1 s."

    def test_patience_ends(self, tmp_path: Path) -> None:
        part = _part("api", "raise SystemExit(3)")
        with (
            Supervisor([part], {}, log_folder=tmp_path, patience=0) as supervisor,
            pytest.raises(ClientError) as gave_up,
        ):
            _until(lambda: supervisor.tend() is not None)
        assert str(gave_up.value) == f"The api process keeps ending with 3; see {tmp_path / 'api'}.log."

    def test_output_goes_to_the_log(self, tmp_path: Path) -> None:
        part = _part("api", "print('hello', flush=True); import time; time.sleep(600)")
        with Supervisor([part], {}, log_folder=tmp_path):
            _until(lambda: "hello" in (tmp_path / "api.log").read_text())

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux can tie a child to its parent's life")
    def test_a_killed_supervisor_takes_its_parts_along(self, tmp_path: Path) -> None:
        pids = tmp_path / "pids"
        environment = {**os.environ, "PIDS": str(pids)}
        parent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(PARENT)], env=environment)
        _until(lambda: pids.exists() and bool(pids.read_text()))
        parent.kill()
        parent.wait()
        child = int(pids.read_text())
        _until(lambda: not _alive(child))


def _alive(number: int) -> bool:
    try:
        return psutil.Process(number).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class TestPort:
    def test_a_busy_port_is_one_sentence(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            with pytest.raises(InputFault, match=f"Cannot listen on 127.0.0.1 port {port} .* choose another port"):
                claim_port("127.0.0.1", port)

    def test_zero_is_any_free_one(self) -> None:
        assert claim_port("127.0.0.1", 0) > 0
