"""House rule: no module over 400 lines, no name that says nothing. Prints offenders, exits 1 when there are any."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LONGEST = 400
SAYS_NOTHING = {"utils", "util", "helpers", "helper", "common", "misc", "manager"}


def offenders(names: list[str]) -> list[str]:
    """Sentences about the tracked Python files in `names` that break the rule."""
    found = []
    for name in names:
        path = Path(name)
        if path.stem in SAYS_NOTHING:
            found.append(f"{name}: this name says nothing about what the module holds.")
        if path.exists() and (lines := len(path.read_text().splitlines())) > LONGEST:
            found.append(f"{name}: {lines} lines; a module has at most {LONGEST}.")
    return found


if __name__ == "__main__":
    tracked = subprocess.run(["git", "ls-files", "*.py"], capture_output=True, text=True, check=True)
    if sentences := offenders(tracked.stdout.split()):
        sys.exit("\n".join(sentences))
