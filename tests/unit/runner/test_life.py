"""The runner never outlives its worker, and nothing but events gets into the protocol."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil

from dpk_core.protocol import Ready, Started, decode_event, encode
from tests.unit.runner.conversation import COMMAND, PATIENCE_SECONDS, RECIPE, ROOT, command, running

FOREVER = replace(RECIPE, epochs=100_000)

# A worker that starts a runner, gives it the line it gets as an argument, passes on what it says, and waits.
WORKER = """
import subprocess, sys
stdin = open(sys.argv[1]) if sys.argv[1] else subprocess.PIPE
runner = subprocess.Popen(sys.argv[3:], stdin=stdin, stdout=subprocess.PIPE, text=True)
if runner.stdin:
    print(sys.argv[2], file=runner.stdin, flush=True)
for line in runner.stdout:
    print(line, end="", flush=True)
"""


def test_it_ends_at_once_when_its_standard_input_closes(tmp_path: Path) -> None:
    with running() as runner:
        runner.say(command(tmp_path, recipe=FOREVER))
        runner.until(Started)
        assert runner.process.stdin is not None
        runner.process.stdin.close()
        assert runner.process.wait(timeout=PATIENCE_SECONDS) == 0


def killed_worker_leaves(arguments: list[str]) -> None:
    """Starts WORKER, kills it once the runner trains or is ready, and waits for the runner to go."""
    with subprocess.Popen(
        [sys.executable, "-c", WORKER, *arguments, *COMMAND], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as worker:
        assert worker.stdout is not None
        ready = decode_event(worker.stdout.readline())
        assert isinstance(ready, Ready)
        runner = psutil.Process(ready.pid)
        if arguments[1]:
            assert isinstance(decode_event(worker.stdout.readline()), Started)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        gone, alive = psutil.wait_procs([runner], timeout=PATIENCE_SECONDS)
        for process in alive:
            process.kill()
        assert gone == [runner]


def test_it_ends_when_its_worker_is_killed_in_the_middle_of_a_run(tmp_path: Path) -> None:
    killed_worker_leaves(["", encode(command(tmp_path, recipe=FOREVER))])


def test_the_kernel_ends_it_even_while_somebody_else_holds_its_standard_input(tmp_path: Path) -> None:
    fifo = tmp_path / "stdin"
    os.mkfifo(fifo)
    held_open = os.open(fifo, os.O_RDWR)
    try:
        killed_worker_leaves([str(fifo), ""])
    finally:
        os.close(held_open)


def test_stray_output_does_not_reach_the_protocol() -> None:
    code = (
        "import os; from dpk_core.runner.life import take_standard_output; from dpk_core.protocol import Stopped\n"
        "channel = take_standard_output(); print('stray', flush=True); os.write(1, b'raw\\n')\n"
        "channel.send(Stopped(run_id='a', step=1))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert [decode_event(line).type for line in done.stdout.splitlines()] == ["stopped"]
    assert done.stderr.splitlines() == ["stray", "raw"]
