"""NVIDIA's Multi-Process Service (MPS), under which the kernels of several processes run on a GPU at the same time.

The service and the processes that use it meet in the folder that `CUDA_MPS_PIPE_DIRECTORY` names; where no service is
there, they run without. Each part of the benchmark has a folder of its own. It may start the service, which goes on in
the background; the process that started the part ends it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

COMMAND = "nvidia-cuda-mps-control"


def environment(folder: Path) -> dict[str, str]:
    """Environment variables that make a process use the service in `folder`, if one runs there."""
    place = str(folder / "mps")
    return {**os.environ, "CUDA_MPS_PIPE_DIRECTORY": place, "CUDA_MPS_LOG_DIRECTORY": place}


def start() -> str | None:
    """Starts the service for the processes that this one starts from now on; it must have its `environment`. A sentence
    where there is none to start."""
    command = shutil.which(COMMAND)
    if command is None:
        return f"{COMMAND} is not installed"
    try:
        Path(os.environ["CUDA_MPS_PIPE_DIRECTORY"]).mkdir()
        subprocess.run([command, "-d"], check=True, timeout=20, stdin=subprocess.DEVNULL)  # noqa: S603 - NVIDIA's daemon
    except (OSError, subprocess.SubprocessError) as error:
        return f"{COMMAND} did not start: {type(error).__name__}: {error}"
    return None


def pays(rows: list[dict[str, Any]]) -> bool:
    """Whether, of runs side by side, those under it took the most steps a second."""
    rates = [(row["steps_a_second"], row["mps"]) for row in rows if "steps_a_second" in row]
    return max(rates, default=(0.0, False))[1]


def stop(folder: Path) -> None:
    """Ends the service that meets in `folder`, if one was started; the processes that used it must have ended."""
    if not (folder / "mps").exists():
        return
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(  # noqa: S603 - NVIDIA's daemon
            [shutil.which(COMMAND) or COMMAND], input=b"quit\n", check=False, timeout=8, env=environment(folder)
        )
