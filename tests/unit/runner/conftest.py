"""One runner for the tests that leave it alive, which is part of what they test; and a process with nothing loaded."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dpk_core.runner import warm
from tests.unit.runner.conversation import Runner, running


@pytest.fixture(scope="session")
def alone() -> Iterator[Runner]:
    """A runner of one device."""
    with running() as process:
        yield process


@pytest.fixture
def cold() -> Iterator[None]:
    """No data set or teacher is loaded before a test or left after it."""
    loaders = warm._load_data, warm._load_teacher
    for each in loaders:
        each.cache_clear()
    yield
    for each in loaders:
        each.cache_clear()
