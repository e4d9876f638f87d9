"""Commands that need torch: they run as a process of their own, for this one never imports it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from client.errors import ClientError, InputFault


def ask(*arguments: str | Path) -> dict[str, Any]:
    """What `dpk_core.runner.student_command` answers. Raises InputFault where it refuses, ClientError where it dies."""
    done = subprocess.run(  # noqa: S603 - our own module; a path is no option
        [sys.executable, "-P", "-m", "dpk_core.runner.student_command", *map(str, arguments)],
        capture_output=True, check=False, text=True, stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONWARNINGS": "ignore"},
    )  # fmt: skip
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        raise ClientError(
            f"The process with torch ended with {done.returncode}: {lines[-1] if lines else 'no message'}"
        )
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if "refused" in answer:
        raise InputFault(answer["refused"])
    return answer
