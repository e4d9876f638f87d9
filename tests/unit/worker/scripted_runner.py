"""A runner that misbehaves as told. Speaks the protocol; trains nothing.

`scripted_runner.py FOLDER SCENE …`: each run plays the next scene. FOLDER counts the runs, so that a process started
after another has died goes on with the next scene; the last scene is played again and again.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from dpk_core.protocol import (
    ArtifactReference,
    Checkpoint,
    Checkpointed,
    Event,
    Failed,
    Finished,
    Measured,
    Noticed,
    Progressed,
    Ready,
    RunCommand,
    RunResult,
    Started,
    StopCommand,
    Stopped,
    decode_command,
    encode,
)


def say(event: Event) -> None:
    sys.stdout.write(encode(event) + "\n")
    sys.stdout.flush()


def checkpoint(command: RunCommand, step: int) -> None:
    path = Path(command.artifact_root, f"{command.checkpoint_prefix}-{step}.pt")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(str(step))
    file = ArtifactReference(path=f"{command.checkpoint_prefix}-{step}.pt", sha256="0" * 64, bytes=1)
    say(Checkpointed(run_id=command.run_id, checkpoint=Checkpoint(file=file, step=step, epoch=1, seconds=float(step))))


def progress(command: RunCommand, step: int) -> None:
    say(Progressed(run_id=command.run_id, step=step, total_steps=100, seconds=float(step)))


def finish(command: RunCommand, *, leaves_weights: bool) -> None:
    say(Noticed(run_id=command.run_id, level="info", message="The share fell back."))
    say(Measured(run_id=command.run_id, step=100, epoch=1, values={"validation_accuracy": 0.5}))
    checkpoint(command, 50)
    checkpoint(command, 100)
    result = RunResult(
        epochs=1, validation_score=0.5, test_score=None, validation_pictures=10, test_pictures=10,
        seconds=3.0, parameters=10, device="cpu", device_name=f"CPU of {os.getpid()}",
        weights=ArtifactReference(path=command.weights_path, sha256="0" * 64, bytes=1) if leaves_weights else None,
    )  # fmt: skip
    say(Finished(run_id=command.run_id, result=result))


def play(scene: str, command: RunCommand) -> None:
    begin = command.resume.step if command.resume else 0
    say(Started(run_id=command.run_id, step=begin, total_steps=100, steps_per_epoch=10, parameters=10))
    match scene.partition(":"):
        case ("finish", _, more):
            finish(command, leaves_weights=more == "weights")
        case ("die", _, _):
            checkpoint(command, 20)
            progress(command, 30)
            sys.stderr.write("Traceback\nMemoryError: no more\n")
            sys.stderr.flush()
            time.sleep(0.3)
            os.kill(os.getpid(), signal.SIGKILL)
        case ("fail", _, kind):
            say(Failed(run_id=command.run_id, kind=kind, message="It broke."))  # type: ignore[arg-type]  # a kind
        case ("garbage", _, _):
            sys.stdout.write("Epoch 1: 100%\n")
            sys.stdout.flush()
            time.sleep(3600)
        case ("wait", _, _):
            progress(command, 10)
            assert isinstance(decode_command(sys.stdin.readline()), StopCommand)
            checkpoint(command, 10)
            say(Stopped(run_id=command.run_id, step=10))
        case ("outage", _, _):
            checkpoint(command, 10)
            progress(command, 10)
            while not Path(sys.argv[1]).with_name("away").exists():
                time.sleep(0.02)  # looks again: the test, another process, says by a file that the database is away
            checkpoint(command, 20)
            checkpoint(command, 30)
            assert isinstance(decode_command(sys.stdin.readline()), StopCommand)
            checkpoint(command, 40)
            say(Stopped(run_id=command.run_id, step=40))
        case ("hang", _, _):
            progress(command, 10)
            subprocess.Popen(["sleep", "3600"])
            time.sleep(3600)


def main() -> None:
    folder, *scenes = sys.argv[1:]
    if scenes == ["import for ever"]:
        Path(folder, f"0-{os.getpid()}").touch()
        time.sleep(3600)
    say(Ready(pid=os.getpid(), device="cpu", device_name="scripted", torch="none", threads=1))
    while line := sys.stdin.readline():
        command = decode_command(line)
        if isinstance(command, RunCommand):
            played = len(list(Path(folder).iterdir()))
            Path(folder, f"{played}-{os.getpid()}").touch()
            play(scenes[min(played, len(scenes) - 1)], command)
    if scenes[0] == "finish:deaf":
        time.sleep(3600)


if __name__ == "__main__":
    main()
