"""Which of SQLAlchemy's errors mean that the database cannot serve now, rather than that a query is wrong."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DatabaseError, DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhausted

FAULTS = (DBAPIError, PoolExhausted)
"""What to catch."""

_POSTGRES_DISK_FULL = "53100"
_SCHEMA_IS_OLDER = frozenset({"42P01", "42703"})
"""Postgres: there is no such table, or column. SQLite says so with an OperationalError."""


def is_away(error: BaseException) -> bool:
    """Lost, overloaded, not migrated, damaged, or no longer allowed to be written: asking again later may help."""
    if isinstance(error, (OperationalError, InterfaceError, InternalError, PoolExhausted)):
        return True
    if getattr(getattr(error, "orig", None), "sqlstate", None) in _SCHEMA_IS_OLDER:
        return True
    return type(error) is DatabaseError  # SQLite: the file is not a database, or damaged


def is_full(error: BaseException) -> bool:
    """Whether the disk that the database is on takes no more."""
    cause = getattr(error, "orig", None)
    codes = getattr(cause, "sqlite_errorcode", None), getattr(cause, "sqlstate", None)
    return codes[0] == sqlite3.SQLITE_FULL or codes[1] == _POSTGRES_DISK_FULL


def sentence(error: DBAPIError | PoolExhausted) -> str:
    """What happened to the database, for people: it is away, its disk is full, or it refused what it was asked."""
    if is_full(error):
        what = "has no room left"
    elif is_away(error):
        what = "cannot be reached"
    else:
        what = "refused what it was asked"
    return f"The database {what}: {words(error)}"


def words(error: DBAPIError | PoolExhausted) -> str:
    """What the database said, in one line, without the statement and its values."""
    return " ".join(str(error.orig if isinstance(error, DBAPIError) else error).split())
