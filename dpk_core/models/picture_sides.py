"""Finds out by running a model which square pictures it takes, and how large its maps are then.

Strided convolutions and pooling, one after the other, give maps of side `(picture + offset) // stride`: the formula of
`dpk_core.catalogue.models.Tap`, whose two numbers are measured here.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, TypedDict

from torch import nn

from dpk_core.models.layout import as_map
from dpk_core.models.trace import TapEntry, run

USUAL_SIDES = (8, 16, 28, 32, 64, 96, 128)
"""Tried beside the multiples of the deepest stride: sides of small data sets."""

FACTORS = (1, 2, 3, 4, 6, 7, 8)
"""Multiples of the deepest stride that are tried, as far as they are below the side that the model was made for."""


class SidesEntry(TypedDict, total=False):
    """Which square pictures a model takes, as in `catalogue.models.PictureSides`."""

    least: int
    step: int
    only: int
    sized: bool


class MapSides:
    """Sides of the maps at the taps by the side of the pictures; each picture side is tried once."""

    def __init__(self, build: Callable[[int], nn.Module], taps: Sequence[TapEntry]) -> None:
        """`build`: gives the model for pictures of a side."""
        self._build = build
        self._taps = taps
        self.deepest = max(stride for _, _, stride, *_ in taps)
        self.seen: dict[int, tuple[int, ...] | None] = {}

    def takes(self, picture: int) -> bool:
        """Whether the model runs on pictures of this side and gives a map, of 1x1 at least, at the last two taps."""
        if picture not in self.seen:
            try:
                self.seen[picture] = self._run(picture)
            except Exception:  # whatever a library's model raises on pictures it was not made for: it takes none
                self.seen[picture] = None
        sides = self.seen[picture]
        return sides is not None and all(sides[-2:])

    def of_tap(self, index: int) -> dict[int, int]:
        """Picture side → map side at one tap, as far as it was tried; 0 where the module gave no map."""
        return {picture: sides[index] for picture, sides in self.seen.items() if sides is not None and all(sides[-2:])}

    def _run(self, picture: int) -> tuple[int, ...]:
        outputs = run(self._build(picture), (picture, picture), [name for name, *_ in self._taps])
        return tuple(_side(outputs.get(name), channels, *layout) for name, channels, _, *layout in self._taps)


def _side(output: Any, channels: int, layout: str = "nchw") -> int:
    """Side of the square map in an output, 0 where there is none with these channels."""
    map_BCHW = as_map(output, layout)
    if map_BCHW is None or map_BCHW.shape[1] != channels or map_BCHW.shape[2] != map_BCHW.shape[3]:
        return 0
    return map_BCHW.shape[2]


def picture_sides(
    model: nn.Module, own: int, taps: Sequence[TapEntry], rebuilt: Callable[[int], nn.Module] | None
) -> tuple[SidesEntry, list[TapEntry]]:
    """Which pictures `model`, built for pictures of side `own`, takes (empty where it takes them all), and the taps
    with the strides and offsets that give the sides of the maps there.

    Taps that give a map on pictures of some sides only are left out: they looked like maps by accident.
    `rebuilt` builds the model for another side, None where its side is fixed.
    """
    maps = MapSides(lambda _: model, taps)
    deepest = maps.deepest
    multiples = [factor * deepest for factor in FACTORS if factor * deepest < own]
    usual = sorted({*USUAL_SIDES, *multiples, own})
    if maps.takes(2 * deepest + 1) and maps.takes(2 * deepest - 1):
        least = _least(usual, maps)
        return ({"least": least} if least else {}), _fitted(taps, maps, every_side=True)
    maps.takes(own)
    if (multiple := next(filter(maps.takes, multiples), 0)) > 0:
        if maps.takes(multiple + 1):
            return {"least": _least(usual, maps)}, _fitted(taps, maps, every_side=True)
        step = deepest if maps.takes(multiple + deepest) else multiple
        return {"least": multiple, "step": step}, _fitted(taps, maps)
    if rebuilt is not None:
        rebuilding = MapSides(rebuilt, taps)
        if (least := next(filter(rebuilding.takes, multiples), 0)) > 0 and rebuilding.takes(2 * least):
            maps.seen |= rebuilding.seen
            return {"least": least, "step": deepest, "sized": True}, _fitted(taps, maps)
    return {"only": own}, _fitted(taps, maps)


def _least(tried: Sequence[int], maps: MapSides) -> int:
    """The smallest side that is taken, 0 where the smallest of `tried` is.

    The first of `tried` that is taken, and then by bisection down to the one before it.
    """
    index = next(index for index, side in enumerate(tried) if maps.takes(side))
    if index == 0:
        return 0
    refused, least = tried[index - 1], tried[index]
    while least - refused > 1:
        middle = (refused + least) // 2
        refused, least = (refused, middle) if maps.takes(middle) else (middle, least)
    return least


def _fitted(taps: Sequence[TapEntry], maps: MapSides, *, every_side: bool = False) -> list[TapEntry]:
    maps_always = [index for index in range(len(taps)) if all(maps.of_tap(index).values())]
    return [_fitted_tap(taps[index], index, maps, every_side) for index in maps_always]


def _fitted_tap(tap: TapEntry, index: int, maps: MapSides, every_side: bool) -> TapEntry:
    """The tap with a stride and an offset that fit all sides seen.

    Its nominal stride where maps are rounded up or down, else the power of two nearest to it, else the nominal stride
    with any offset.

    Raises ValueError where none of them fits.
    """
    name, channels, nominal, *rest = tap
    layout = str(rest[0]) if rest else "nchw"
    powers = sorted((2**power for power in range(8)), key=lambda power: abs(power - nominal))
    for attempt, stride in enumerate((nominal, *powers, nominal)):
        offsets = _narrowed(stride, index, maps) if every_side else _fitting(stride, maps.of_tap(index))
        usual = [each for each in (stride - 1, 0) if each in offsets]
        if offsets and (usual or attempt):
            offset = [*usual, *offsets][0]
            if offset != stride - 1:
                return (name, channels, stride, layout, offset)
            return (name, channels, stride) if layout == "nchw" else (name, channels, stride, layout)
    raise ValueError(f"no stride fits the maps of {name}: {maps.of_tap(index)}")


def _narrowed(stride: int, index: int, maps: MapSides) -> range:
    """The offsets with which this stride fits, after trying pictures that distinguish them."""
    first = max(2 * maps.deepest, min(maps.of_tap(index)))
    while len(offsets := _fitting(stride, maps.of_tap(index))) > 1:
        # The map gains a position at this side where the offset is in the upper half.
        middle = offsets[len(offsets) // 2]
        side = next(side for side in itertools.count(first) if (side + middle) % stride == 0)
        if not maps.takes(side):
            break
    return offsets


def _fitting(stride: int, seen: dict[int, int]) -> range:
    """The offsets for which `(picture + offset) // stride` is the side of every map seen."""
    lows = [side * stride - picture for picture, side in seen.items()]
    return range(max(lows), min(lows) + stride)
