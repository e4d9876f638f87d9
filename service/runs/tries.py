"""Which failures of a run are tried again, how often and after which wait. The transitions are in `service`.

| failure | tried again | counted as an attempt | waits before |
|---|---|---|---|
| `diverged`, `data`, `invalid` | no: it would fail again | | |
| `internal` | until the attempts are used up, or the same error came twice in a row | yes | doubling |
| `out_of_memory`, `artifact` | until the attempts are used up | yes | doubling |
| the training process died | until the attempts are used up | yes | the first wait |
| the worker was lost | until the attempts are used up | yes | none: its lease had to run out |
| `missing_here` | by another worker, until none is left | no | none |
| `disk_full` | for a day, counted anew after each checkpoint | no | as long as it has lasted so far |

Attempts are counted anew after each checkpoint that is further than any before: a training whose machine is taken away
again and again ends, as long as each attempt gets further.
"""

from __future__ import annotations

import re
from enum import Enum

from dpk_core.protocol import FailureKind

WAIT_LIMIT_SECONDS = 300.0
"""No wait between two tries is longer."""

DISK_PATIENCE_SECONDS = 86_400.0
"""A run whose tries met a full disk for this long, without a checkpoint in between, has failed."""


class Then(Enum):
    """What follows a failure."""

    END = "the run has failed"
    AGAIN = "another attempt, which counts"
    ELSEWHERE = "another worker takes it"
    LATER = "the run waits for room"


RULES: dict[FailureKind, Then] = {
    "diverged": Then.END,
    "data": Then.END,
    "invalid": Then.END,
    "internal": Then.AGAIN,
    "out_of_memory": Then.AGAIN,
    "artifact": Then.AGAIN,
    "missing_here": Then.ELSEWHERE,
    "disk_full": Then.LATER,
}


def wait_seconds(first: float, attempts: int) -> float:
    """The wait after the `attempts`-th attempt has failed."""
    return min(WAIT_LIMIT_SECONDS, first * 2.0 ** min(attempts - 1, 60))


def disk_wait_seconds(first: float, lasted: float) -> float:
    """The wait while a disk is full, which has `lasted` so many seconds."""
    return min(WAIT_LIMIT_SECONDS, max(first, lasted))


def will_repeat(kind: FailureKind, message: str, last_error: str | None) -> bool:
    """Whether the same error came twice in a row. Addresses in memory differ from one process to the next."""
    return kind == "internal" and last_error is not None and _comparable(message) == _comparable(last_error)


def _comparable(message: str) -> str:
    return re.sub(r"0x[0-9a-fA-F]+", "0x", message)
