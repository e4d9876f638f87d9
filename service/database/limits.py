"""How long a process waits for the database, and how many connections it may open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import URL, NullPool

from service.settings import Settings

_NETWORK = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 30_000}
"""A server that vanished without a word is noticed within half a minute (libpq; seconds, the last milliseconds)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Times are in seconds; `lock_seconds` is also how long SQLite waits for another writer. None: without limit."""

    pool_size: int | None = 5
    """Connections that are kept; None: none is, each is closed after use."""
    pool_overflow: int = 10
    pool_seconds: float = 10.0
    connect_seconds: float = 5.0
    statement_seconds: float | None = None
    lock_seconds: float | None = 30.0

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """Those of this process."""
        return cls(
            pool_size=settings.database_pool_size,
            pool_overflow=settings.database_pool_overflow,
            pool_seconds=settings.database_pool_seconds,
            statement_seconds=settings.database_statement_seconds,
            lock_seconds=settings.database_lock_seconds,
        )

    def pool(self) -> dict[str, Any]:
        """`create_engine`'s arguments for the pool."""
        if self.pool_size is None:
            return {"poolclass": NullPool}
        return {
            "pool_size": self.pool_size, "max_overflow": self.pool_overflow, "pool_timeout": self.pool_seconds,
            "pool_pre_ping": True,
        }  # fmt: skip

    def postgres(self, address: URL) -> dict[str, Any]:
        """psycopg's arguments. Options in the address itself come last, and so they prevail."""
        limits = {"statement_timeout": self.statement_seconds, "lock_timeout": self.lock_seconds}
        options = [f"-c {name}={round(1000 * value)}" for name, value in limits.items() if value is not None]
        asked = address.query.get("options", ())
        options += [asked] if isinstance(asked, str) else asked
        return {"connect_timeout": max(2, round(self.connect_seconds)), "options": " ".join(options), **_NETWORK}

    def sqlite(self) -> dict[str, Any]:
        """sqlite3's arguments."""
        longest = 24 * 3600.0
        return {"timeout": longest if self.lock_seconds is None else self.lock_seconds, "check_same_thread": False}


PROMPT = Limits(pool_size=None, connect_seconds=2.0, statement_seconds=2.0, lock_seconds=2.0)
"""For health checks: connections beside the pool, which may be exhausted, and an answer within seconds."""
