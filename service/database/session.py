"""The engine and the two ways to open a transaction: one to write, one to read."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.orm import Session

from service.database.limits import PROMPT, Limits
from service.settings import settings

READ_ONLY = "dpk_read_only"
"""Execution option of a SQLite connection whose transaction takes no write lock."""


def open_engine(url: str | URL, limits: Limits | None = None) -> Engine:
    """An engine for SQLite or Postgres with the settings that several processes on one database need."""
    address, chosen = make_url(url), limits or Limits()
    if address.get_backend_name() != "sqlite":
        return create_engine(address, connect_args=chosen.postgres(address), **chosen.pool())
    if address.database:
        Path(address.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(address, connect_args=chosen.sqlite(), **chosen.pool())
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


@functools.cache
def engine() -> Engine:
    """The engine of this process."""
    return open_engine(settings().database_address, Limits.of(settings()))


@functools.cache
def prompt_engine() -> Engine:
    """The engine of health checks: they answer within seconds, also where the pool of `engine` is exhausted."""
    return open_engine(settings().database_address, PROMPT)


@contextmanager
def transaction() -> Iterator[Session]:
    """One session, one transaction: committed at the end, rolled back on any exception."""
    with Session(engine(), expire_on_commit=False) as session, session.begin():
        yield session


@contextmanager
def reading() -> Iterator[Session]:
    """One session that sees one moment of the database and cannot write; on SQLite it never waits for a writer."""
    with Session(_reader(engine()), expire_on_commit=False) as session, session.begin():
        yield session


@contextmanager
def glance() -> Iterator[Connection]:
    """A connection for one statement that only reads; on Postgres without BEGIN and COMMIT."""
    is_sqlite = engine().dialect.name == "sqlite"
    options: dict[str, Any] = {READ_ONLY: True} if is_sqlite else {"isolation_level": "AUTOCOMMIT"}
    with engine().connect() as connection:
        yield connection.execution_options(**options)


@contextmanager
def prompt_reading() -> Iterator[Session]:
    """`reading` for health checks, on a connection of its own that is closed afterwards."""
    with Session(_reader(prompt_engine()), expire_on_commit=False) as session, session.begin():
        yield session


def _reader(engine: Engine) -> Engine:
    if engine.dialect.name == "sqlite":
        return engine.execution_options(**{READ_ONLY: True})
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # pysqlite begins transactions late and behind SQLAlchemy's back; we begin them ourselves, below.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    if connection.get_execution_options().get(READ_ONLY):
        connection.exec_driver_sql("PRAGMA query_only=ON")
        connection.exec_driver_sql("BEGIN")
        return
    # Taking the write lock at once turns a mid-transaction lock failure, which cannot be waited out, into a wait.
    connection.exec_driver_sql("PRAGMA query_only=OFF")
    connection.exec_driver_sql("BEGIN IMMEDIATE")
