"""The real migrations, up and down, on SQLite and on Postgres."""

from __future__ import annotations

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
from sqlalchemy import JSON, Engine, column, exc, insert, inspect, table, text

from migrations import commands
from migrations.__main__ import main
from service.database.session import open_engine
from service.database.tables import SCHEMA_REVISION, Base


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
        assert said == ["empty", SCHEMA_REVISION, SCHEMA_REVISION, "empty"]

    def test_a_database_of_another_version_is_named(
        self, engine: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        commands.upgrade(engine=engine)
        with engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '0042'"))
        monkeypatch.setattr(commands, "open_engine", lambda _: open_engine(str(engine.url.render_as_string(False))))
        with pytest.raises(SystemExit) as ended:
            main(["upgrade"])
        assert ended.value.code != 0
        assert "its revision 0042 is not known here" in capsys.readouterr().err

    def test_an_unknown_action_is_refused(self) -> None:
        with pytest.raises(SystemExit):
            main(["sideways"])


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
