"""The loop that benchmarks of steps time by, on a clock of its own."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.timing import ratios, taken_milliseconds


def test_methods_take_turns_and_the_first_round_is_left_out() -> None:
    now, order = 0.0, list[tuple[str, int]]()

    def costs(name: str, seconds: float) -> Callable[[int], None]:
        def step(number: int) -> None:
            nonlocal now
            now += seconds * (10 if number == 0 else number)
            order.append((name, number))

        return step

    taken = taken_milliseconds({"kd": costs("kd", 0.5), "dpk": costs("dpk", 0.75)}, 2, lambda: now)
    assert order == [(name, number) for number in range(3) for name in ("kd", "dpk")]
    assert taken == {"kd": [500.0, 1000.0], "dpk": [750.0, 1500.0]}
    assert (ratios(taken, "dpk", "kd"), ratios(taken, "kd", "kd")) == ([1.5, 1.5], [1.0, 1.0])
