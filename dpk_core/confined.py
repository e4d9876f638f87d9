"""Starts the processes that read files which others made: in an empty folder, without settings and credentials.

Their limits of memory, time, files and network they set on themselves, before they read anything.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def environment(folder: Path) -> dict[str, str]:
    """Nothing of this process's but where Python finds its modules, also from another folder."""
    modules = os.pathsep.join(str(Path(each).resolve()) for each in sys.path if each)
    return {
        "PATH": os.defpath, "LANG": "C.UTF-8", "HOME": str(folder), "TMPDIR": str(folder), "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": modules,
    }  # fmt: skip


def run(module: str, arguments: Sequence[str], folder: Path, seconds: float) -> subprocess.CompletedProcess[bytes]:
    """Runs one of our modules to its end. Raises subprocess.TimeoutExpired."""
    return subprocess.run(  # noqa: S603 - our own module; callers check the arguments
        (sys.executable, "-P", "-m", module, *arguments), capture_output=True, timeout=seconds, check=False,
        cwd=folder, stdin=subprocess.DEVNULL, env=environment(folder), start_new_session=True,
    )  # fmt: skip
