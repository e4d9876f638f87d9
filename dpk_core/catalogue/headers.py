"""What the headers of picture files say, without decoding one: sizes, and whether they are grey or in colour."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from PIL import Image

from dpk_core.errors import DataFault

GREY = frozenset({"1", "L", "LA"})
COLOUR = frozenset({"CMYK", "HSV", "LAB", "P", "PA", "RGB", "RGBA", "RGBX", "YCbCr"})

BROKEN = (
    OSError, EOFError, IndexError, SyntaxError, ValueError, struct.error,
    Image.DecompressionBombWarning, Image.DecompressionBombError,
)  # fmt: skip
"""What Pillow raises about a file that is no picture, is cut short or would take too much memory."""

SMALL_EDGE = 96
"""Pictures of one size with edges up to this are used at their own size."""

LARGE_SIDE = 224
"""Working size of all others, unless the data set declares one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """`channels`: 1 when all pictures seen are grey, else 3. `side`: the working size that suits them."""

    channels: int
    side: int

    def as_json(self) -> dict[str, int]:
        """As plain numbers."""
        return asdict(self)


def check_header(name: str, source: Path | IO[bytes]) -> tuple[int, int, str]:
    """Width, height and mode of a picture. Raises DataFault naming it when it is none, or none we can use."""
    try:
        with warnings.catch_warnings():
            # Pillow's warning about very large pictures: here too large is an error.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(source) as picture:
                width, height = picture.size
                mode = picture.mode
    except BROKEN as error:
        raise DataFault(f"{name} cannot be read as a picture; mend or remove it.") from error
    if mode not in GREY | COLOUR:
        raise DataFault(f"{name} has pixels of the kind {mode}; pictures must have 8 bits a channel.")
    return width, height, mode


def survey(pictures: Iterable[tuple[str, Path | IO[bytes]]]) -> Survey:
    """Looks at the headers of named pictures. Raises DataFault naming the first one that is broken."""
    sizes, modes = set(), set()
    for name, source in pictures:
        width, height, mode = check_header(name, source)
        sizes.add((width, height))
        modes.add(mode)
    small = len(sizes) == 1 and max(next(iter(sizes))) <= SMALL_EDGE
    return Survey(channels=1 if modes <= GREY else 3, side=min(next(iter(sizes))) if small else LARGE_SIDE)
