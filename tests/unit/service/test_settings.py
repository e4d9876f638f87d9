"""Settings that are worked out from others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from migrations.commands import upgrade
from service.settings import Settings


@pytest.mark.parametrize("name", ["100%25", "a%2Fb", "what?now", "a#b", "ünï 日本", "semi;colon", "at@host:1"])
def test_a_home_of_any_name_holds_its_own_database(
    name: str, tmp_path: Path, configure: Callable[..., Settings]
) -> None:
    home = tmp_path / name
    assert configure(home=home).database_address.database == str(home / "dpk.sqlite")
    upgrade()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (home / "dpk.sqlite").is_file()


def test_an_address_is_taken_as_an_address(configure: Callable[..., Settings]) -> None:
    address = configure(database_url="postgresql+psycopg://me:p%40ss@host/dpk").database_address
    assert (address.password, address.database) == ("p@ss", "dpk")


def test_reports_come_at_least_three_times_in_a_lease(configure: Callable[..., Settings]) -> None:
    assert configure(heartbeat_seconds=0.1, lease_seconds=0.3).heartbeat_seconds == 0.1
    with pytest.raises(ValidationError, match="must be at most a third"):
        configure(heartbeat_seconds=0.1001, lease_seconds=0.3)
