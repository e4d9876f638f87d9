"""A runner's process group and its log: both belong to others once it is gone."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from service.database.session import transaction
from service.runs import output, repository
from service.settings import Settings
from tests.unit.worker.test_supervisor import wait_for
from worker.artifacts import remove_old_logs
from worker.runner_process import Gone, RunnerProcess


def gone(runner: RunnerProcess) -> Gone:
    said = runner.next(60.0)
    assert isinstance(said, Gone)
    return said


def test_its_group_is_signalled_before_it_is_reaped_and_never_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signalled = list[str]()
    monkeypatch.setattr(os, "killpg", lambda pid, _number: signalled.append(psutil.Process(pid).status()))
    runner = RunnerProcess((sys.executable, "-c", "raise SystemExit(3)"), tmp_path / "runner.log")
    assert gone(runner).how == "with exit code 3"
    runner.kill()
    runner.close(0.0)
    assert signalled == [psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize("waitid", [True, False])
def test_what_it_left_behind_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waitid: bool) -> None:
    if not waitid:
        monkeypatch.delattr(os, "waitid")  # as on macOS before Python 3.13
    said = tmp_path / "child"
    script = (
        f"import subprocess; open({str(said)!r}, 'w').write(str(subprocess.Popen(['sleep', '600'], stdout=-3).pid))"
    )
    runner = RunnerProcess((sys.executable, "-c", script), tmp_path / "runner.log")
    assert gone(runner).how == "with exit code 0"
    wait_for(lambda: is_over(int(said.read_text())))


def test_an_error_of_the_watching_thread_still_ends_the_runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_runner: RunnerProcess) -> int:
        raise OSError("no such call")

    monkeypatch.setattr(RunnerProcess, "_exit_code", fail)
    script = "import os, signal; os.close(1); signal.pause()"  # lives until it is killed
    runner = RunnerProcess((sys.executable, "-c", script), tmp_path / "runner.log")
    assert "could not find out" in gone(runner).how
    assert runner.gone
    wait_for(lambda: is_over(runner.pid))


def is_over(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_logs_of_workers_that_left_long_ago_are_removed(embedded: Callable[..., Settings]) -> None:
    settings = embedded()
    folder = output.folder(settings.home)
    folder.mkdir(parents=True)
    with transaction() as session:
        repository.put_worker(session, "host-1", queues="runs", slots=1, device=None)
    for worker, age in (("host-1", 1e6), ("host-2", 1e6), ("host-3", 0.0), ("host-10", 1e6)):
        file = folder / output.name(worker, 0)
        file.touch()
        os.utime(file, (file.stat().st_mtime - age,) * 2)
    remove_old_logs(settings)
    assert sorted(file.name for file in folder.iterdir()) == ["host-1-0.log", "host-3-0.log"]
