"""Column types and SQL functions that behave the same on SQLite and Postgres."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect, Float
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time. SQLite keeps no zone, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        assert value is None or value.tzinfo is not None, "naive time"
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class epoch_now(GenericFunction[float]):  # noqa: N801 - SQLAlchemy names SQL functions in lower case
    """The *database's* clock in seconds since 1970: leases must not depend on the workers' clocks agreeing."""

    type = Float()
    inherit_cache = True


@compiles(epoch_now, "sqlite")
def _epoch_now_sqlite(_element: epoch_now, _compiler: SQLCompiler, **_keywords: Any) -> str:
    # unixepoch('subsec') would say it better, but needs SQLite 3.42 and is NULL, not an error, before.
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(epoch_now, "postgresql")
def _epoch_now_postgresql(_element: epoch_now, _compiler: SQLCompiler, **_keywords: Any) -> str:
    return "CAST(extract(epoch from clock_timestamp()) AS double precision)"


def utc_now() -> datetime:
    """The present, for columns people read; never for leases."""
    return datetime.now(UTC)
