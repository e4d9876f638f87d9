"""Ends that wait for the database, half-written files, and full disks, as a worker meets them."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from dpk_core import artifacts
from dpk_core.codec import from_json
from dpk_core.errors import DiskFault
from dpk_core.protocol import Checkpoint
from service.database.session import transaction
from service.database.tables import Event, Measurement, Run
from service.runs import service
from service.runs.claims import Ended
from service.runs.delivery import deliver
from service.settings import Settings
from tests.contract.run_driver import claimed, let_lease_expire, swept
from tests.contract.run_specs import add_job
from tests.unit.worker.test_supervisor import Stage, create, row, stage
from worker import runner_process, spool, supervisor, trouble
from worker.artifacts import remove_partial_files
from worker.slots import Slots
from worker.trouble import Trouble

__all__ = ["stage"]


def away() -> AbstractContextManager[Session]:
    raise OperationalError("SELECT 1", {}, OSError("no route"))


def files(settings: Settings) -> list[str]:
    return sorted(path.name for path in (settings.resolved_artifact_root / spool.FOLDER).iterdir())


def ended_in_the_spool(played: Stage, monkeypatch: pytest.MonkeyPatch) -> str:
    """A run whose end waits in the spool, and a job that needs it."""
    run_id = create()
    with transaction() as session:
        add_job(session, "job", session.get_one(Run, run_id))
    claim = played.claim(run_id)
    with monkeypatch.context() as patch:
        patch.setattr(supervisor, "transaction", away)
        played.supervisor.carry_out(claim)
    assert row(run_id).state == "running"
    assert files(played.settings) == [f"{run_id}-f1.json"]
    return run_id


class TestDelivery:
    def test_a_result_waits_and_is_delivered_whole_though_the_run_was_given_back(
        self, stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        played = stage("finish")
        run_id = ended_in_the_spool(played, monkeypatch)
        let_lease_expire(run_id)
        swept()
        assert row(run_id).state == "queued"
        assert spool.deliver_all(played.settings) == 1
        run = row(run_id)
        assert (run.state, run.step, run.seconds, files(played.settings)) == ("finished", 100, 3.0, [])
        assert from_json(Checkpoint, run.checkpoint).step == 100
        with transaction() as session:
            assert [found.value for found in session.scalars(select(Measurement))] == [0.5]
            assert [found.data["message"] for found in session.scalars(select(Event))] == ["The share fell back."]
        # As after a result that is stored in time, only the recorded checkpoint stays.
        assert len(list(played.settings.resolved_artifact_root.rglob("*.pt"))) == 1

    def test_it_waits_while_the_database_is_away(
        self, stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        played = stage("finish")
        run_id = ended_in_the_spool(played, monkeypatch)
        with monkeypatch.context() as patch:
            patch.setattr(spool, "transaction", away)
            assert spool.deliver_all(played.settings) == 0
        assert files(played.settings) == [f"{run_id}-f1.json"]

    def test_a_broken_file_is_set_aside_once_and_the_others_are_delivered(
        self, stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        played = stage("finish")
        run_id = ended_in_the_spool(played, monkeypatch)
        folder = played.settings.resolved_artifact_root / spool.FOLDER
        for name, content in (("0-f1.json", b"\xff"), ("1-f1.json", b"{}"), ("2-f1.json", b"[]")):
            (folder / name).write_bytes(content)
        assert spool.deliver_all(played.settings) == 1
        assert row(run_id).state == "finished"
        assert files(played.settings) == [f"{number}-f1.json.broken" for number in range(3)]
        assert spool.deliver_all(played.settings) == 0

    def test_what_is_not_needed_any_more_is_removed(
        self, stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        played = stage("finish")
        run_id = ended_in_the_spool(played, monkeypatch)
        with transaction() as session:
            service.request_cancel(session, [run_id], "job")
        let_lease_expire(run_id)
        swept()
        assert row(run_id).state == "cancelled"
        assert spool.deliver_all(played.settings) == 0
        assert (row(run_id).state, files(played.settings)) == ("cancelled", [])

    def test_a_result_whose_checkpoint_is_gone_is_trained_again(
        self, stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        played = stage("finish")
        run_id = ended_in_the_spool(played, monkeypatch)
        for path in played.settings.resolved_artifact_root.rglob("*.pt"):
            path.unlink()
        assert spool.deliver_all(played.settings) == 0
        assert (row(run_id).state, files(played.settings)) == ("running", [])

    def test_another_worker_that_removes_the_file_first_costs_no_notice(
        self, stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        played = stage("finish")
        run_id = ended_in_the_spool(played, monkeypatch)

        def overtaken(session: Session, ended: Ended, **options: Any) -> bool:
            stored = deliver(session, ended, **options)
            (played.settings.resolved_artifact_root / spool.FOLDER / f"{run_id}-f1.json").unlink()
            return stored

        monkeypatch.setattr(spool, "deliver", overtaken)
        assert spool.deliver_all(played.settings) == 1
        with transaction() as session:
            assert [found.data["message"] for found in session.scalars(select(Event))] == ["The share fell back."]

    def test_where_the_spool_is_full_too_the_worker_holds_the_result(
        self, stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        played, run_id = stage("finish", lease_seconds=2.0), create()
        put, refused = supervisor._Attempt._put, list[float]()

        def back_when_the_lease_is_over(attempt: supervisor._Attempt, session: Session, event: supervisor.End) -> bool:
            if not refused or refused[-1] <= attempt._lease_until:
                refused.append(time.monotonic())
                raise OperationalError("SELECT 1", {}, OSError("no route"))
            let_lease_expire(run_id)
            swept()
            return put(attempt, session, event)

        def refuse(*_arguments: object) -> None:
            raise DiskFault("The disk is full.")

        monkeypatch.setattr(supervisor._Attempt, "_put", back_when_the_lease_is_over)
        monkeypatch.setattr(artifacts, "write", refuse)
        played.carry_out(run_id)
        assert (row(run_id).state, row(run_id).fence) == ("finished", 2)


class TestFullDisk:
    def test_the_worker_tells_it_until_a_file_is_written_and_the_job_hears_it_once(
        self, stage: Callable[..., Stage]
    ) -> None:
        played, run_id = stage("fail:disk_full", "fail:disk_full", "finish"), create()
        with transaction() as session:
            add_job(session, "job", session.get_one(Run, run_id))
        for _ in range(2):
            run = played.carry_out(run_id)
            assert (run.state, run.attempts) == ("queued", 0)
            assert (run.notices, run.final_notices) == ([{"level": "warning", "message": "It broke."}], [])
            assert played.trouble.sentence() == "It broke."
            with transaction() as session:
                session.execute(update(Run).values(not_before=None))
        with transaction() as session:
            assert [found.data["message"] for found in session.scalars(select(Event))] == ["It broke."]
        assert played.carry_out(run_id).state == "finished"
        assert played.trouble.sentence() is None

    def test_no_other_run_is_taken_until_the_wait_is_over(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now, found = 100.0, Trouble(5.0)
        monkeypatch.setattr(trouble, "time", SimpleNamespace(monotonic=lambda: now))
        for met_at, wait in ((100.0, 5.0), (102.0, 3.0), (105.0, 10.0), (115.0, 20.0), (1000.0, 40.0)):
            now = met_at
            found.meet("The disk is full.", f"run {met_at}")
            assert found.is_waiting()
            now = met_at + wait
            assert not found.is_waiting()

    def test_a_slot_takes_nothing_while_it_waits(self, stage: Callable[..., Stage]) -> None:
        played, run_id = stage("finish"), create()
        slots = Slots(played.settings, "me", played.command)
        slots.trouble = Trouble(600.0)
        slots.trouble.meet("The disk is full.", "another run")
        assert (slots._claim(run_id), slots._claim(None)) == (None, None)
        slots.trouble.pass_over()
        assert slots._claim(run_id) is not None

    def test_no_room_for_the_runners_log(self, stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_arguments: object, **_options: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        played, run_id = stage("finish"), create()
        with monkeypatch.context() as patch:
            patch.setattr(runner_process.subprocess, "Popen", refuse)
            run = played.carry_out(run_id)
        assert (run.state, run.attempts) == ("queued", 0)
        assert "The disk is full on" in str(played.trouble.sentence())
        assert played.carry_out(run_id).state == "finished"


def test_a_worker_without_the_data_leaves_the_run_to_others(stage: Callable[..., Stage]) -> None:
    played, run_id = stage("fail:missing_here"), create()
    with transaction() as session:
        add_job(session, "job", session.get_one(Run, run_id))
    assert played.carry_out(run_id).state == "queued"
    with transaction() as session:
        messages = [found.data["message"] for found in session.scalars(select(Event))]
        assert service.claim(session, run_id, "me", lease_seconds=60, max_attempts=3) is None
    assert messages == ["It broke. The training is left to another worker."]


def test_half_written_files_of_dead_claims_go_and_those_of_living_ones_stay(stage: Callable[..., Stage]) -> None:
    settings = stage("finish").settings
    root = settings.resolved_artifact_root
    living, dead = create(1), create(2)
    claimed(living)
    claimed(dead)
    let_lease_expire(dead)
    claimed(dead, "b")
    old, young = 1.0, None
    made = {
        f"checkpoints/aa/k/{living}-f1-8.pt.partial": old,
        f"checkpoints/aa/k/{dead}-f1-8.pt.partial": old,
        f"checkpoints/aa/k/{dead}-f2-9.pt.partial": old,
        f"weights/aa/k/{'0' * 32}-f1.safetensors.partial": old,
        f"weights/aa/k/{'1' * 32}-f1.safetensors.partial": young,
        "weights/somebody-elses.partial": old,
    }
    for name, modified in made.items():
        path = Path(root, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        if modified is not None:
            os.utime(path, (modified, modified))
    remove_partial_files(settings)
    assert {name for name in made if not Path(root, name).exists()} == {
        f"checkpoints/aa/k/{dead}-f1-8.pt.partial", f"weights/aa/k/{'0' * 32}-f1.safetensors.partial",
    }  # fmt: skip
