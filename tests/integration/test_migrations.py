"""The real migrations, up and down, on SQLite and on Postgres."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import JSON, Engine, column, exc, insert, inspect, select, table, text
from sqlalchemy.orm import Session

from dpk_core.catalogue.datasets import DIGITS
from dpk_core.codec import from_json, to_json
from dpk_core.selection.knowledge import Prior
from migrations import commands
from migrations.__main__ import main
from service.database.session import open_engine
from service.database.tables import SCHEMA_REVISION, Base, Candidate, Run, SelectionJob
from service.selection_jobs import repository
from service.selection_jobs.plan import Plan, make_plan
from service.selection_jobs.schemas import SelectionJobRequest

REQUEST = SelectionJobRequest(student="cifar/resnet8w4", dataset="digits", teachers=["cifar/resnet20"])
CANDIDATES = {"j": 1, "old": 2, "new": 3}
"""The candidate of each job."""


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    opened = open_engine(database_url)
    yield opened
    opened.dispose()


def tables(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names()) - {"alembic_version"}


def differences(engine: Engine) -> list[object]:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return list(compare_metadata(context, Base.metadata))


class TestMigrations:
    def test_up_down_and_up_again(self, engine: Engine) -> None:
        commands.upgrade(engine=engine)
        assert commands.current(engine=engine) == SCHEMA_REVISION
        assert tables(engine) == set(Base.metadata.tables)
        commands.downgrade("base", engine=engine)
        assert commands.current(engine=engine) is None
        assert tables(engine) == set()
        commands.upgrade(engine=engine)
        assert tables(engine) == set(Base.metadata.tables)

    def test_what_they_build_is_what_the_code_describes(self, engine: Engine) -> None:
        commands.upgrade(engine=engine)
        assert differences(engine) == []

    def test_a_missing_column_would_be_noticed(self, engine: Engine) -> None:
        commands.upgrade(engine=engine)
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE workers DROP COLUMN device"))
        assert differences(engine) != []

    def test_only_live_and_finished_runs_are_unique_by_content(self, engine: Engine) -> None:
        commands.upgrade(engine=engine)
        insert_run(engine, "a", "failed")
        insert_run(engine, "b", "cancelled")
        insert_run(engine, "w", "finished", withdrawn=True)
        insert_run(engine, "c", "finished")
        with pytest.raises(exc.IntegrityError):
            insert_run(engine, "d", "queued")

    def test_jobs_of_one_probe_are_told_as_jobs_of_rungs_and_back(self, engine: Engine) -> None:
        commands.upgrade("0001", engine=engine)
        request = REQUEST
        plan = to_json(make_plan(request, DIGITS))
        epochs = plan["student_recipe"]["epochs"]
        old = {name: value for name, value in plan.items() if name not in ("rungs", "spending")} | {"probe_epochs": 6}
        asked = {**request.model_dump(mode="json"), "budget": {"epochs": None, "probe_epochs": 6, "promote": 2}}
        insert_job(engine, "j", old, asked)
        commands.upgrade(engine=engine)
        with Session(engine) as session:
            job = session.get_one(SelectionJob, "j")
            assert from_json(Plan, job.plan).rungs == (6, epochs)
            assert SelectionJobRequest.model_validate(job.request).budget.rungs == [6, epochs]
            assert job.stage == "confirming"
            assert [each.status for each in session.scalars(select(Candidate))] == ["exploring"]
            assert repository.snapshot(session, job).rounds == []
        commands.downgrade("0001", engine=engine)
        with engine.connect() as connection:
            row = connection.execute(text("SELECT stage, plan FROM selection_jobs")).one()
            assert row.stage == "training"
            assert (json.loads(row.plan) if isinstance(row.plan, str) else row.plan) == old

    def test_what_runs_took_over_is_told_from_their_times(self, engine: Engine) -> None:
        commands.upgrade("0002", engine=engine)
        insert_run(engine, "left", "cancelled", **life("00", "01", stop_epoch=8, epoch=3))
        insert_run(engine, "probe", "finished", **life("01", "02", stop_epoch=2, epoch=2), withdrawn=True)
        insert_run(engine, "late", "finished", **life("02", "09", stop_epoch=6, epoch=6))
        insert_run(engine, "going", "running", **life("03", None, stop_epoch=8, epoch=7))
        commands.upgrade(engine=engine)
        with Session(engine) as session:
            found = {run.id: run.inherited for run in session.scalars(select(Run))}
        assert {name: told and told["epoch"] for name, told in found.items()} == {
            "left": None, "probe": None, "late": 3, "going": 3,
        }  # fmt: skip

    def test_a_job_of_an_older_training_version_says_so(self, engine: Engine) -> None:
        commands.upgrade("0002", engine=engine)
        plan = to_json(make_plan(REQUEST, DIGITS))
        for job_id, version in (("old", 1), ("new", 2)):
            insert_job(engine, job_id, plan, REQUEST.model_dump(mode="json"))
            insert_run(engine, job_id, "finished", content_key=job_id, spec={"training": {"version": version}})
            link(engine, job_id)
        commands.upgrade(engine=engine)
        with Session(engine) as session:
            assert {job.id: from_json(Plan, job.plan).version for job in session.scalars(select(SelectionJob))} == {
                "old": 1, "new": 2,
            }  # fmt: skip
        commands.downgrade("0002", engine=engine)
        with Session(engine) as session:
            assert [each == plan for each in session.scalars(select(SelectionJob.plan))] == [True, True]

    def test_a_job_keeps_believing_what_it_believed(self, engine: Engine) -> None:
        commands.upgrade("0003", engine=engine)
        believed = Prior(follows=(1.0,) * 4, tilt=(0.0,) * 4, mismatch=(0.012, 0.009, 0.005, 0.0))
        later = ("follows", "tilt", "picture_part")
        stored = {name: value for name, value in to_json(believed).items() if name not in later}
        stored["picture_spread"] = 0.002
        for job_id, prior in (("old", {"prior": stored}), ("new", {})):
            insert_job(engine, job_id, to_json(make_plan(REQUEST, DIGITS)), REQUEST.model_dump(mode="json"), **prior)
        commands.upgrade(engine=engine)
        with Session(engine) as session:
            assert from_json(Prior, session.get_one(SelectionJob, "old").prior) == believed
            assert session.get_one(SelectionJob, "new").prior is None
        commands.downgrade("0003", engine=engine)
        with Session(engine) as session:
            assert session.get_one(SelectionJob, "old").prior == stored

    def test_two_at_once_are_one_after_the_other(self, engine: Engine) -> None:
        threads = [threading.Thread(target=commands.upgrade, kwargs={"engine": engine}) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert commands.current(engine=engine) == SCHEMA_REVISION

    @pytest.mark.servers
    def test_postgres_gives_up_waiting_for_a_lock(self, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(commands, "LOCK_TIMEOUT", "50ms")
        engine = open_engine(postgres_url)
        commands.upgrade(engine=engine)
        with engine.connect() as reader:
            reader.execute(text("SELECT * FROM workers"))
            with pytest.raises(exc.OperationalError, match="lock timeout"):
                commands.downgrade("base", engine=engine)
        assert tables(engine) == set(Base.metadata.tables)
        engine.dispose()

    def test_the_code_names_the_newest_revision(self) -> None:
        assert ScriptDirectory(str(Path(commands.__file__).parent)).get_current_head() == SCHEMA_REVISION


class TestCommand:
    def test_up_current_down(self, tmp_path: Path) -> None:
        # From a folder without the sources' alembic.ini, as from an installed wheel.
        environment = {
            **os.environ, "DPK_HOME": str(tmp_path / "home"), "PYTHONPATH": str(Path(commands.__file__).parents[1]),
        }  # fmt: skip
        said = [
            subprocess.run(
                [sys.executable, "-m", "migrations", action],
                env=environment, cwd=tmp_path, capture_output=True, text=True, check=True,
            ).stdout.strip()
            for action in ("current", "upgrade", "current", "downgrade")
        ]  # fmt: skip
        assert said == ["empty", SCHEMA_REVISION, SCHEMA_REVISION, "0005"]

    def test_an_unknown_action_is_refused(self) -> None:
        with pytest.raises(SystemExit):
            main(["sideways"])


def insert_job(
    engine: Engine, job_id: str, plan: dict[str, Any], request: dict[str, Any], **more: dict[str, Any]
) -> None:
    job = {"id": job_id, "state": "running", "stage": "training", "revision": 1, "created_at": "2026-01-01 00:00:00"}
    documents = {"plan": plan, "request": request, **more}
    columns = [*map(column, job), *(column(name, JSON) for name in documents)]
    candidate = {
        "id": CANDIDATES[job_id],
        "job_id": job_id,
        "position": 0,
        "teacher": "cifar/resnet20",
        "status": "probed",
    }
    with engine.begin() as connection:
        connection.execute(insert(table("selection_jobs", *columns)), {**job, **documents})
        connection.execute(insert(table("candidates", *map(column, candidate))), candidate)


def link(engine: Engine, name: str) -> None:
    """A job and a run of the same name."""
    row = {
        "job_id": name,
        "candidate_id": CANDIDATES[name],
        "run_id": name,
        "purpose": "explore",
        "seed": 0,
        "reused": False,
    }
    with engine.begin() as connection:
        connection.execute(insert(table("job_runs", *map(column, row))), row)


def life(began: str, ended: str | None, *, stop_epoch: int, epoch: int) -> dict[str, Any]:
    """When a run of a training began and ended, by the hour, and how far it came."""
    checkpoint = {"file": {}, "step": 14 * epoch, "epoch": epoch, "seconds": float(epoch)}
    return {
        "content_key": f"to {stop_epoch}", "spec": {"stop_epoch": stop_epoch}, "checkpoint": checkpoint,
        "started_at": f"2026-01-01 {began}:00:00", "finished_at": ended and f"2026-01-01 {ended}:00:00",
    }  # fmt: skip


def insert_run(engine: Engine, run_id: str, state: str, *, withdrawn: bool = False, **more: Any) -> None:
    columns = {
        "id": run_id, "content_key": "same", "training_key": "t", "purpose": "full", "spec": {}, "dataset": "digits",
        "method": "none", "student": "s", "seed": 0, "state": state, "cancel_requested": False,
        "withdrawn": withdrawn, "attempts": 0,
        "fence": 0, "created_at": "2026-01-01 00:00:00", "step": 0, "total_steps": 0, "seconds": 0.0,
        "wasted_seconds": 0.0, **more,
    }  # fmt: skip
    documents = {"spec": JSON, "checkpoint": JSON}
    named = [column(name, documents.get(name)) for name in columns]
    with engine.begin() as connection:
        connection.execute(insert(table("runs", *named)), columns)
