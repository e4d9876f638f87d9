"""The engine and the two ways to open a transaction: one to write, one to read."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from service.database.limits import PROMPT, Limits
from service.settings import settings

Read = TypeVar("Read")

GLANCE_CONNECTIONS = 2
"""On Postgres, of each process, beside those of its settings."""
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


def glance(read: Callable[[Connection], Read]) -> Read:
    """What `read` gives, which executes one statement that only reads; on Postgres without BEGIN and COMMIT.

    A connection that broke since its last use shows when it is used, and `read` is called once more on another: a
    question before each use (`pool_pre_ping`) would be a second round trip.
    """
    try:
        return _glance(read)
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
    return _glance(read)


def _glance(read: Callable[[Connection], Read]) -> Read:
    with glance_engine().connect() as connection:
        return read(connection)


@functools.cache
def glance_engine() -> Engine:
    """The engine of `glance`: asks no connection whether it still lives, and begins no transaction on Postgres.

    Its connections are beside those of `engine`, whose pool asks each time, and few: a glance takes a moment.
    """
    if engine().dialect.name == "sqlite":
        return _reader(engine())
    address, chosen = make_url(settings().database_address), Limits.of(settings())
    few = {"pool_size": GLANCE_CONNECTIONS, "max_overflow": 0, "pool_pre_ping": False}
    more = {**chosen.pool(), **few, "isolation_level": "AUTOCOMMIT"}
    return create_engine(address, connect_args=chosen.postgres(address), **more)


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
