"""Steps of several methods timed side by side: they take turns, so that other load on the machine meets all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence


def taken_milliseconds(
    steps: Mapping[str, Callable[[int], None]], rounds: int, clock: Callable[[], float]
) -> dict[str, list[float]]:
    """Of each method's step in each of `rounds`, after a first one that warms up. `clock`: gives seconds."""
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds + 1):
        for name, step in steps.items():
            began = clock()
            step(number)
            if number:
                taken[name].append(1000 * (clock() - began))
    return taken


def ratios(taken: Mapping[str, Sequence[float]], name: str, reference: str) -> list[float]:
    """A method's times as multiples of another's in the same round."""
    return [mine / other for mine, other in zip(taken[name], taken[reference], strict=True)]
