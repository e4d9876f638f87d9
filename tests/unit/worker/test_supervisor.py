"""Supervisor and slots against a runner that dies, hangs, babbles and lies."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from dpk_core.codec import from_json
from dpk_core.protocol import Checkpoint
from migrations.commands import upgrade
from service.database.session import transaction
from service.database.tables import Measurement, Run
from service.database.types import epoch_now
from service.runs import output, repository, service
from service.runs.claims import Claim
from service.settings import Settings
from tests.contract.run_specs import run_spec
from worker import supervisor as module
from worker.slots import Slots
from worker.supervisor import Supervisor
from worker.trouble import Trouble

SCRIPT = Path(__file__).with_name("scripted_runner.py")


class Stage:
    """A supervisor with a scripted runner, on a database of its own."""

    def __init__(self, settings: Settings, folder: Path, *scenes: str) -> None:
        self.settings, self.folder = settings, folder
        folder.mkdir(exist_ok=True)
        self.stopping = threading.Event()
        self.devices: list[str] = []
        self.trouble = Trouble(settings.retry_seconds)
        self.command = (sys.executable, str(SCRIPT), str(folder), *scenes)
        self.supervisor = Supervisor(
            settings, self.command, settings.home / "logs" / "test.log", self.stopping,
            lambda ready: self.devices.append(ready.device_name), self.trouble,
        )  # fmt: skip

    def claim(self, run_id: str) -> Claim:
        with transaction() as session:
            claim = service.claim(
                session, run_id, "me", lease_seconds=self.settings.lease_seconds,
                max_attempts=self.settings.max_attempts,
            )  # fmt: skip
        assert claim is not None
        return claim

    def carry_out(self, run_id: str) -> Run:
        self.supervisor.carry_out(self.claim(run_id))
        return row(run_id)

    def processes(self) -> list[int]:
        """The process of each run so far."""
        return [int(path.name.partition("-")[2]) for path in sorted(self.folder.iterdir())]


@pytest.fixture
def stage(configure: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[
    Callable[..., Stage]
]:  # fmt: skip
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    stages: list[Stage] = []

    def make(*scenes: str, **settings: object) -> Stage:
        quick = {
            "heartbeat_seconds": 0.1,
            "stop_grace_seconds": 0.5,
            "max_attempts": 3,
            "slots": 1,
            "sweep_seconds": 0.2,
            "retry_seconds": 0,
        }
        chosen = configure(**(quick | settings))
        upgrade()
        stages.append(Stage(chosen, tmp_path / "played", *scenes))
        return stages[-1]

    yield make
    for made in stages:
        made.supervisor.close()


def create(seed: int = 0) -> str:
    with transaction() as session:
        return repository.find_or_create(session, run_spec(seed), "full")[0].id


def row(run_id: str) -> Run:
    with transaction() as session:
        return session.get_one(Run, run_id)


def wait_for(condition: Callable[[], object], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def in_background(stage: Stage, run_id: str) -> threading.Thread:
    claim = stage.claim(run_id)
    thread = threading.Thread(target=stage.supervisor.carry_out, args=(claim,))
    thread.start()
    return thread


class TestGood:
    def test_finished_run_is_stored_with_everything_it_said(self, stage: Callable[..., Stage]) -> None:
        played, run_id = stage("finish"), create()
        run = played.carry_out(run_id)
        assert (run.state, run.step, run.total_steps, run.seconds) == ("finished", 100, 100, 3.0)
        assert run.device == f"CPU of {played.processes()[0]}"
        assert from_json(Checkpoint, run.checkpoint).step == 100
        with transaction() as session:
            assert [found.value for found in session.scalars(select(Measurement))] == [0.5]
        assert played.devices == ["scripted"]

    def test_only_the_recorded_checkpoint_stays(self, stage: Callable[..., Stage]) -> None:
        played, run_id = stage("die", "finish"), create()
        played.carry_out(run_id)
        run = played.carry_out(run_id)
        root = played.settings.resolved_artifact_root
        files = [str(path.relative_to(root)) for path in root.rglob("*.pt")]
        assert files == [from_json(Checkpoint, run.checkpoint).file.path]

    def test_a_notice_that_cannot_be_stored_spoils_nothing(
        self, stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_arguments: object) -> None:
            raise OperationalError("INSERT", {}, OSError("no route"))

        monkeypatch.setattr(service, "notify", refuse)
        played, run_id = stage("finish"), create()
        run = played.carry_out(run_id)
        assert (run.state, run.fence) == ("finished", 1)
        # The end was stored, and known to be: the worker went on to tidy up.
        assert len(list(played.settings.resolved_artifact_root.rglob("*.pt"))) == 1

    def test_runner_stays_warm_between_runs(self, stage: Callable[..., Stage]) -> None:
        played = stage("finish")
        for seed in range(3):
            assert played.carry_out(create(seed)).state == "finished"
        assert len(set(played.processes())) == 1


class TestDeath:
    def test_run_goes_on_from_its_checkpoint_in_a_new_process(self, stage: Callable[..., Stage]) -> None:
        played, run_id = stage("die", "finish"), create()
        assert played.carry_out(run_id).state == "queued"
        claim = played.claim(run_id)
        assert claim.resume is not None
        assert claim.resume.step == 20
        assert row(run_id).wasted_seconds == 10.0
        played.supervisor.carry_out(claim)
        assert row(run_id).state == "finished"
        assert len(set(played.processes())) == 2

    def test_after_the_last_attempt_it_has_failed_with_its_last_words(self, stage: Callable[..., Stage]) -> None:
        played, run_id = stage("die"), create()
        states = [played.carry_out(run_id).state for _ in range(3)]
        assert states == ["queued", "queued", "failed"]
        assert row(run_id).failure == (
            "The training process died 3 times since its last checkpoint, "
            "last by signal 9 (it last wrote: MemoryError: no more)."
        )
        written = output.written(played.settings.home, run_id)
        assert written is not None
        assert "MemoryError: no more" in written
        other = create(seed=1)
        assert output.written(played.settings.home, other) is None

    def test_its_last_words_are_read_from_a_file_that_was_begun_anew(
        self, stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        played, run_id = stage("die", max_attempts=1), create()
        monkeypatch.setattr(output, "MOST_KEPT_BYTES", 100)
        log = output.folder(played.settings.home) / "test.log"
        log.parent.mkdir(parents=True)
        log.write_text("old\n" * 100)
        assert played.carry_out(run_id).state == "failed"
        assert "it last wrote: MemoryError: no more" in (row(run_id).failure or "")
        assert "old" not in log.read_text()

    def test_where_a_run_begins_is_none_of_its_words(self, stage: Callable[..., Stage]) -> None:
        played, run_id = stage("garbage", max_attempts=1), create()
        assert played.carry_out(run_id).state == "failed"
        assert output.written(played.settings.home, run_id) == []
        assert "it last wrote" not in (row(run_id).failure or "")

    def test_babbling_runner_is_killed(self, stage: Callable[..., Stage]) -> None:
        played, run_id = stage("garbage", "finish"), create()
        assert played.carry_out(run_id).state == "queued"
        assert not psutil.pid_exists(played.processes()[0])
        assert played.carry_out(run_id).state == "finished"

    def test_silent_runner_is_killed_with_its_children(self, stage: Callable[..., Stage]) -> None:
        played, run_id = stage("hang", stall_seconds=4.0), create()
        thread = in_background(played, run_id)
        wait_for(played.processes)
        runner = psutil.Process(played.processes()[0])
        wait_for(runner.children)
        child = runner.children()[0]
        thread.join()
        assert (row(run_id).state, row(run_id).attempts) == ("queued", 1)
        assert not psutil.pid_exists(runner.pid)
        wait_for(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)

    @pytest.mark.parametrize(("kind", "processes"), [("internal", 2), ("out_of_memory", 2), ("artifact", 1)])
    def test_device_is_left_clean(self, stage: Callable[..., Stage], kind: str, processes: int) -> None:
        played, run_id = stage(f"fail:{kind}", "finish"), create()
        assert played.carry_out(run_id).state == "queued"
        assert played.carry_out(run_id).state == "finished"
        assert len(set(played.processes())) == processes

    def test_a_failed_run_tells_its_device_also_in_a_warm_runner(self, stage: Callable[..., Stage]) -> None:
        played = stage("finish", "fail:data")
        played.carry_out(create(0))
        failed = played.carry_out(create(1))
        assert len(set(played.processes())) == 1
        assert (failed.state, failed.device) == ("failed", "scripted")


class TestStop:
    def test_leaving_worker_gives_the_run_back_uncounted(self, stage: Callable[..., Stage]) -> None:
        played, run_id = stage("wait"), create()
        thread = in_background(played, run_id)
        wait_for(lambda: row(run_id).step == 10)
        played.stopping.set()
        thread.join()
        run = row(run_id)
        assert (run.state, run.attempts, from_json(Checkpoint, run.checkpoint).step) == ("queued", 0, 10)

    def test_a_large_command_holds_up_neither_heartbeat_nor_stop(self, stage: Callable[..., Stage]) -> None:
        """An uploaded model's document may be larger than a pipe holds, and a runner that imports reads nothing."""
        played, run_id = stage("import for ever", stop_grace_seconds=3600), create()
        documents = ({"parameters": "x" * 200_000},)
        claim = replace(played.claim(run_id), uploads=documents)
        thread = threading.Thread(target=played.supervisor.carry_out, args=(claim,), daemon=True)
        thread.start()
        wait_for(played.processes)
        before = row(run_id).lease_expires
        wait_for(lambda: (row(run_id).lease_expires or 0.0) > (before or 0.0))
        played.stopping.set()
        thread.join(timeout=60)
        assert not thread.is_alive()
        assert (row(run_id).state, row(run_id).attempts) == ("queued", 0)

    def test_runner_that_is_not_up_yet_is_given_no_grace(self, stage: Callable[..., Stage]) -> None:
        played, run_id = stage("import for ever", stop_grace_seconds=3600), create()
        thread = in_background(played, run_id)
        wait_for(played.processes)
        played.stopping.set()
        thread.join(timeout=60)
        assert not thread.is_alive()
        assert (row(run_id).state, row(run_id).attempts) == ("queued", 0)
        assert not psutil.pid_exists(played.processes()[0])

    @pytest.mark.parametrize("scene", ["wait", "hang"])
    def test_cancelled_only_when_the_process_has_let_go(self, stage: Callable[..., Stage], scene: str) -> None:
        played, run_id = stage(scene), create()
        thread = in_background(played, run_id)
        wait_for(lambda: row(run_id).step == 10)
        with transaction() as session:
            service.request_cancel(session, [run_id], "mine")
        assert row(run_id).state == "running"
        thread.join()
        assert row(run_id).state == "cancelled"
        assert psutil.pid_exists(played.processes()[0]) == (scene == "wait")

    def test_lost_run_is_stopped_and_left_to_its_new_owner(self, stage: Callable[..., Stage]) -> None:
        played, run_id = stage("wait"), create()
        thread = in_background(played, run_id)
        wait_for(lambda: row(run_id).step == 10)
        with transaction() as session:
            session.execute(
                update(Run).values(fence=Run.fence + 1, lease_owner="other", lease_expires=epoch_now() + 60)
            )
        thread.join()
        run = row(run_id)
        assert (run.state, run.lease_owner, run.checkpoint) == ("running", "other", None)

    def test_worker_cut_off_from_the_database_stops_before_its_lease_is_over_for_long(
        self, stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        played, run_id = stage("wait", lease_seconds=1.0), create()
        thread = in_background(played, run_id)
        wait_for(lambda: row(run_id).step == 10)

        def refuse() -> None:
            raise OperationalError("SELECT 1", {}, OSError("no route"))

        monkeypatch.setattr(module, "transaction", refuse)
        thread.join()
        assert row(run_id).state == "running"
        assert not played.supervisor._runner.gone  # it let go by itself; nobody had to kill it

    def test_runner_that_ignores_the_end_of_its_input_is_killed(self, stage: Callable[..., Stage]) -> None:
        played, run_id = stage("finish:deaf"), create()
        played.carry_out(run_id)
        played.supervisor.close()
        assert not psutil.pid_exists(played.processes()[0])


class TestSlots:
    @pytest.fixture
    def slots(self, stage: Callable[..., Stage]) -> Iterator[Callable[..., Slots]]:
        started: list[Slots] = []

        def make(*scenes: str, **settings: object) -> Slots:
            played = stage(*scenes, **settings)
            started.append(Slots(played.settings, "me", played.command))
            started[-1].start()
            return started[-1]

        yield make
        for made in started:
            made.stop()

    def test_one_wake_up_is_enough_for_all_that_waits(self, slots: Callable[..., Slots]) -> None:
        woken = slots("finish", sweep_seconds=600.0)
        run_ids = [create(seed) for seed in range(4)]
        woken.wake(run_ids[2])
        wait_for(lambda: all(row(run_id).state == "finished" for run_id in run_ids))
        assert woken.device == "scripted"

    def test_work_is_found_without_any_wake_up(self, slots: Callable[..., Slots]) -> None:
        slots("finish")
        run_id = create()
        wait_for(lambda: row(run_id).state == "finished")

    def test_wake_up_for_an_unknown_or_finished_run_does_nothing(self, slots: Callable[..., Slots]) -> None:
        woken = slots("finish")
        run_id = create()
        wait_for(lambda: row(run_id).state == "finished")
        for hint in (run_id, run_id, "nobody"):
            woken.wake(hint)
        second = create(1)
        wait_for(lambda: row(second).state == "finished")
        assert row(run_id).fence == 1

    def test_a_worker_that_leaves_claims_no_run(self, stage: Callable[..., Stage]) -> None:
        played, run_id = stage("finish"), create()
        leaving = Slots(played.settings, "me", played.command)
        leaving._stopping.set()
        leaving._work(leaving._supervisors[0], run_id)
        assert (row(run_id).state, row(run_id).attempts) == ("queued", 0)

    def test_stop_gives_every_run_back_and_ends_the_runners(self, slots: Callable[..., Slots], tmp_path: Path) -> None:
        woken = slots("wait", slots=2)
        run_ids = [create(1), create(2)]
        wait_for(lambda: all(row(run_id).step == 10 for run_id in run_ids))
        woken.stop()
        assert [row(run_id).state for run_id in run_ids] == ["queued", "queued"]
        for path in (tmp_path / "played").iterdir():
            assert not psutil.pid_exists(int(path.name.partition("-")[2]))

    def test_terminate_kills_and_leaves_the_rest_to_the_sweep(
        self, slots: Callable[..., Slots], tmp_path: Path
    ) -> None:
        woken = slots("hang")
        run_id = create()
        wait_for(lambda: row(run_id).step == 10)
        woken.terminate()
        (path,) = (tmp_path / "played").iterdir()
        assert not psutil.pid_exists(int(path.name.partition("-")[2]))
