"""One runner for the tests that leave it alive, which is part of what they test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.runner.conversation import Runner, running


@pytest.fixture(scope="session")
def alone() -> Iterator[Runner]:
    """A runner of one device."""
    with running() as process:
        yield process
