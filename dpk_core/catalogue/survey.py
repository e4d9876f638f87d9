"""What the headers of a data set's pictures say together; `headers` looks at them."""

from __future__ import annotations

from dataclasses import dataclass

OBLONG = 4 / 3
"""Longer over shorter edge beyond which a picture counts as oblong."""

MOST = 0.95
"""Part of the pictures that decide a working size; the largest ones beyond it set no size for all."""

FAR_LARGER = 4
"""A picture whose longer edge is this many times that of nearly all others is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderSummary:
    """What the headers of `pictures` say together. Edges are in pixels, sizes width and height.

    `longer_edge`, `shorter_edge`: at least `MOST` of the pictures have none above. `usual_size`: the most frequent one,
    which `usual` pictures have. The others count pictures that are grey (`deep`: with 16 bits), turned by EXIF,
    transparent, longer than `OBLONG`, or far larger than nearly all others.
    """

    pictures: int
    grey: int
    deep: int
    turned: int
    transparent: int
    oblong: int
    most_oblong: float
    far_larger: int
    longer_edge: int
    shorter_edge: int
    smallest: tuple[int, ...]
    usual_size: tuple[int, ...]
    usual: int
    largest: tuple[int, ...]
    largest_name: str


def uniform_survey(pictures: int, side: int, channels: int) -> HeaderSummary:
    """Of pictures in an array, which all are `side` x `side`."""
    size = (side, side)
    return HeaderSummary(
        pictures=pictures, grey=pictures if channels == 1 else 0, deep=0, turned=0, transparent=0, oblong=0,
        most_oblong=1.0, far_larger=0, longer_edge=side, shorter_edge=side, smallest=size, usual_size=size,
        usual=pictures, largest=size, largest_name="",
    )  # fmt: skip
