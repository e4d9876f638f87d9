"""Which checkpoints stay on disk: whatever the database may name, and nothing beside it for long."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from dpk_core.codec import from_json
from dpk_core.protocol import Checkpoint
from service.database.session import transaction
from service.runs import repository, service
from service.settings import Settings
from tests.contract.run_driver import let_lease_expire, swept
from tests.contract.run_specs import checkpoint
from tests.unit.worker.test_supervisor import Stage, create, in_background, row, stage, wait_for
from worker import spool, supervisor
from worker.artifacts import remove_leftovers, remove_older_checkpoints
from worker.slots import Slots

__all__ = ["stage"]


def steps(settings: Settings) -> list[int]:
    """Of the checkpoints on disk."""
    return sorted(int(path.stem.rpartition("-")[2]) for path in settings.resolved_artifact_root.rglob("*.pt"))


def recorded(run_id: str) -> Checkpoint:
    """What the row names."""
    return from_json(Checkpoint, row(run_id).checkpoint)


def after_an_outage(played: Stage, run_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database goes away after the checkpoint at step 10, for longer than the lease."""

    def away() -> None:
        raise OperationalError("SELECT 1", {}, OSError("no route"))

    thread = in_background(played, run_id)
    wait_for(lambda: row(run_id).step == 10)
    with monkeypatch.context() as patch:
        patch.setattr(supervisor, "transaction", away)
        played.folder.with_name("away").touch()
        wait_for(lambda: 30 in steps(played.settings))
        # A worker that is killed here leaves what the row names.
        assert (recorded(run_id).step, 10 in steps(played.settings)) == (10, True)
        thread.join()
    let_lease_expire(run_id)


class TestOutage:
    def test_the_recorded_checkpoint_stays_and_the_last_one_is_delivered(
        self, stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        played, run_id = stage("outage", lease_seconds=1.0), create()
        after_an_outage(played, run_id, monkeypatch)
        assert steps(played.settings) == [10, 20, 30, 40]
        assert spool.deliver_all(played.settings) == 1
        run = row(run_id)
        assert (run.state, run.attempts, recorded(run_id).step) == ("queued", 0, 40)
        assert steps(played.settings) == [40]

    def test_also_where_the_sweep_was_faster(
        self, stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        played, run_id = stage("outage", lease_seconds=1.0), create()
        after_an_outage(played, run_id, monkeypatch)
        swept()
        assert row(run_id).state == "queued"
        spool.deliver_all(played.settings)
        assert (row(run_id).state, row(run_id).attempts) == ("queued", 0)
        again = played.claim(run_id)
        assert again.resume is not None
        assert again.resume.step == 40

    def test_whoever_has_claimed_the_run_since_goes_on_undisturbed(
        self, stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        played, run_id = stage("outage", lease_seconds=1.0), create()
        after_an_outage(played, run_id, monkeypatch)
        other = played.claim(run_id)
        assert other.resume is not None
        assert Path(played.settings.resolved_artifact_root, other.resume.file.path).exists()
        assert spool.deliver_all(played.settings) == 0
        assert (row(run_id).state, row(run_id).fence, recorded(run_id).step) == ("running", 2, 10)


class TestOlderOnes:
    def test_those_of_earlier_claims_go_once_a_newer_one_is_recorded(self, stage: Callable[..., Stage]) -> None:
        settings, run_id = stage("finish").settings, create()
        names = [f"{run_id}-f{fence}-{step}.pt" for fence, step in ((1, 10), (1, 90), (2, 40), (2, 50), (3, 5))]
        names += [f"{'0' * 32}-f1-10.pt", f"{run_id}-f2-60.pt.partial"]
        for name in names:
            (settings.resolved_artifact_root / name).parent.mkdir(parents=True, exist_ok=True)
            (settings.resolved_artifact_root / name).touch()
        remove_older_checkpoints(checkpoint(names[3], step=50, seconds=1.0), settings)
        left = {path.name for path in settings.resolved_artifact_root.iterdir()}
        assert set(names) - left == {f"{run_id}-f1-10.pt", f"{run_id}-f2-40.pt"}

    def test_a_stopped_run_keeps_the_one_that_its_row_names(self, stage: Callable[..., Stage]) -> None:
        played, run_id = stage("die", "wait"), create()
        played.carry_out(run_id)
        thread = in_background(played, run_id)
        wait_for(lambda: row(run_id).step == 10)
        with transaction() as session:
            service.request_cancel(session, [run_id], "mine")
        thread.join()
        root = played.settings.resolved_artifact_root
        assert row(run_id).state == "cancelled"
        assert (root / recorded(run_id).file.path).exists()


class TestLeftovers:
    def test_files_of_runs_that_are_over_go_unless_their_rows_name_them(self, stage: Callable[..., Stage]) -> None:
        played = stage("die", max_attempts=1)
        over, waiting, unknown = create(1), create(2), "0" * 32
        assert played.carry_out(over).state == "failed"
        root = played.settings.resolved_artifact_root
        named = recorded(over).file.path
        folder = Path(named).parent.as_posix()
        weights = "weights/ab/k"
        unneeded = {
            f"{folder}/{over}-f2-90.pt", f"{weights}/{over}-f1.safetensors", f"{weights}/{over}-f1.boxes.json",
        }  # fmt: skip
        others = {
            f"{folder}/{waiting}-f1-5.pt", f"{folder}/{unknown}-f1-5.pt", f"{weights}/mine.safetensors",
        }  # fmt: skip
        for name in unneeded | others:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).touch()
        remove_leftovers(played.settings)
        left = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
        assert left == {named, *others}

    def test_others_write_while_all_runs_that_are_over_are_read(
        self, stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        played, meanwhile, read = stage("finish", database_lock_seconds=0.1), list[str](), repository.resting

        def slow(session: Session) -> Sequence[repository.Resting]:
            found = read(session)
            meanwhile.append(create(7))
            return found

        monkeypatch.setattr(repository, "resting", slow)
        remove_leftovers(played.settings)
        assert [row(run_id).state for run_id in meanwhile] == ["queued"]

    def test_a_complete_training_leaves_no_checkpoint(self, stage: Callable[..., Stage]) -> None:
        played, run_id = stage("finish:weights"), create()
        run = played.carry_out(run_id)
        assert (run.state, run.checkpoint) == ("finished", None)
        assert steps(played.settings) == []

    def test_a_worker_looks_when_it_starts(self, stage: Callable[..., Stage]) -> None:
        played, run_id = stage("die", max_attempts=1), create()
        played.carry_out(run_id)
        left = played.settings.resolved_artifact_root / "weights" / "ab" / "k" / f"{run_id}-f1.safetensors"
        left.parent.mkdir(parents=True)
        left.touch()
        slots = Slots(played.settings, "me", played.command)
        slots.start()
        wait_for(lambda: not left.exists())
        slots.stop()
