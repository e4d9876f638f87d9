"""Whether this process may fetch what is published and missing."""

from __future__ import annotations

import os

DOWNLOAD = "DPK_DOWNLOAD"
"""Set to 1 in the environment, it lets the runner fetch official data files and published weights that are missing."""


def download_allowed() -> bool:
    """Whether this process may fetch what is missing."""
    return os.environ.get(DOWNLOAD) == "1"
