"""Moves a database between revisions, and says where it stands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from service.database.session import open_engine
from service.settings import settings

LOCK_TIMEOUT = "5s"
"""A migration that waits longer for a table than this fails, instead of queueing every request behind it."""

MIGRATION_LOCK = 0x64706B
"""Postgres advisory lock: two machines that start at once migrate one after the other."""


def configuration(connection: Connection) -> Config:
    """Alembic's configuration, found beside this file: the same in a clone and in an installed wheel."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config


def upgrade(revision: str = "head", *, engine: Engine | None = None) -> None:
    """Brings the database up to `revision`; all of it or nothing."""
    with _exclusive(engine) as connection:
        command.upgrade(configuration(connection), revision)


def downgrade(revision: str = "-1", *, engine: Engine | None = None) -> None:
    """Takes the database down to `revision`; `base` empties it."""
    with _exclusive(engine) as connection:
        command.downgrade(configuration(connection), revision)


def current(*, engine: Engine | None = None) -> str | None:
    """The database's revision; None before the first."""
    with _exclusive(engine) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def known() -> frozenset[str]:
    """Every revision there is a migration to."""
    script = ScriptDirectory(str(Path(__file__).parent))
    return frozenset(found.revision for found in script.walk_revisions())


@contextmanager
def _exclusive(engine: Engine | None) -> Iterator[Connection]:
    """One transaction on the given engine, or on the one of the settings, that no other migration shares."""
    opened = engine or open_engine(settings().database_address)
    try:
        with opened.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SET LOCAL lock_timeout = 0"))  # others may migrate for as long as they need
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
                connection.execute(text("SELECT set_config('lock_timeout', :limit, true)"), {"limit": LOCK_TIMEOUT})
            yield connection
    finally:
        if engine is None:
            opened.dispose()
