"""Which finished job answers; pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from service.best_teacher.repository import Group


def in_order(groups: Sequence[Group], is_current: Callable[[Group], bool]) -> list[Group]:
    """The groups in the order in which they answer.

    1. Those whose protocol holds today (`is_current`) come before those on other data or weights.
    2. The decided come before the undecided.
    3. Results under different protocols are never ranked: the protocol of the newest such job goes first.

    Within a group the best-founded (seeds times teachers) answers, then the newest.
    """
    newest_first = sorted(groups, key=lambda each: each.newest, reverse=True)
    # Sorting is stable: what is equal stays newest first.
    return sorted(newest_first, key=lambda each: (not is_current(each), not each.is_decided))
