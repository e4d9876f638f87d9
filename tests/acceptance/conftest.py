"""One undisturbed job, against which every disturbed one is compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.system import System, results


@pytest.fixture
def system(tmp_path: Path) -> Iterator[Callable[..., System]]:
    """Makes systems that are torn down after the test."""
    made: list[System] = []

    def make(**servers: str) -> System:
        made.append(System(tmp_path / f"system-{len(made)}", **servers))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The results of the job on the embedded defaults, where nothing went wrong."""
    embedded = System(tmp_path_factory.mktemp("undisturbed") / "home")
    try:
        embedded.start_api()
        embedded.start_worker()
        job_id = embedded.submit()
        embedded.wait_until(job_id, "finished")
        return results(embedded.leaderboard(job_id))
    finally:
        embedded.close()
