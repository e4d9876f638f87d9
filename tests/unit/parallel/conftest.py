"""One pair of ranks serves all tests that take it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.parallel.ranks import Ranks, two_ranks
from tests.unit.training.tiny import deterministic


@pytest.fixture(scope="session")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ranks]:
    """Two processes that form a world."""
    with two_ranks(tmp_path_factory.mktemp("ranks")) as started:
        yield started


@pytest.fixture(autouse=True)
def deterministic_process() -> Iterator[None]:
    """One thread, deterministic operations, as in the ranks."""
    with deterministic():
        yield
