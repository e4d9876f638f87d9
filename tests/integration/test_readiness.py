"""Readiness over a real Postgres and a real Redis."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from migrations.commands import downgrade, upgrade
from service.health.service import readiness
from service.problems import Unavailable
from service.settings import Settings


@pytest.mark.servers
def test_every_part_is_asked(configure: Callable[..., Settings], postgres_url: str, redis_url: str) -> None:
    configure(database_url=postgres_url, broker_url=redis_url)
    with pytest.raises(Unavailable, match="revision empty"):
        readiness()
    upgrade()
    assert readiness().parts == ["database", "schema", "broker"]
    downgrade("base")
    with pytest.raises(Unavailable, match="revision empty"):
        readiness()
