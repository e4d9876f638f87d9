"""One statement without a transaction, on connections that broke since their last use."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Connection, QueuePool, text
from sqlalchemy.exc import ProgrammingError

from service.database.session import GLANCE_CONNECTIONS, engine, glance, glance_engine
from service.settings import Settings


def process_id(connection: Connection) -> int:
    """The server process of a connection."""
    return int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())


@pytest.fixture(autouse=True)
def postgres(configure: Callable[..., Settings], postgres_url: str) -> None:
    """An empty Postgres as the database of this process."""
    configure(database_url=postgres_url)


@pytest.mark.servers
def test_a_connection_is_kept_and_replaced_where_it_broke() -> None:
    first = glance(process_id)
    assert glance(process_id) == first
    with engine().connect() as other:
        other.execute(text("SELECT pg_terminate_backend(:process, 5000)"), {"process": first})
    assert glance(process_id) != first


@pytest.mark.servers
def test_its_connections_are_few_beside_those_of_the_settings() -> None:
    pool = glance_engine().pool
    assert isinstance(pool, QueuePool)
    assert (pool.size(), pool._max_overflow) == (GLANCE_CONNECTIONS, 0)


@pytest.mark.servers
def test_a_statement_that_is_wrong_is_sent_once() -> None:
    sent: list[int] = []

    def read(connection: Connection) -> None:
        sent.append(1)
        connection.execute(text("SELECT * FROM no_such_table"))

    with pytest.raises(ProgrammingError):
        glance(read)
    assert sent == [1]
