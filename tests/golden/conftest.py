"""Trainings in these tests compute as in the runner."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.training.tiny import deterministic


@pytest.fixture(autouse=True)
def deterministic_process() -> Iterator[None]:
    """One thread, deterministic operations."""
    with deterministic():
        yield
