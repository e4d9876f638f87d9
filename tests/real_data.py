"""Real data sets that some tests read where they are: they are not part of the project."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("DPK_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))


def real_data(name: str) -> Path:
    """The file or folder of this name. Skips the test where it is not on this machine."""
    # Real data are never copied into the project, so a user's machine has none of them.
    if not (FOLDER / name).exists():
        pytest.skip(f"{name} is not on this machine; name its folder in DPK_TEST_DATA to test with it")
    return FOLDER / name
