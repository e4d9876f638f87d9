"""What the headers of picture files say, without decoding one: sizes, and whether they are grey or in colour.

The one door to Pillow: whoever opens a picture does it with `open_picture`, which tries the formats of `formats` alone.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from dpk_core.catalogue.formats import EXPECTED, FORMATS
from dpk_core.errors import DataFault

PLUGINS = (
    AvifImagePlugin, BmpImagePlugin, GifImagePlugin, Jpeg2KImagePlugin, JpegImagePlugin, PngImagePlugin,
    PpmImagePlugin, TiffImagePlugin, WebPImagePlugin,
)  # fmt: skip
"""Importing a plugin registers its format with Pillow; `Image.init()` would import those of all formats."""

GREY = frozenset({"1", "L", "LA"})
COLOUR = frozenset({"CMYK", "HSV", "LAB", "P", "PA", "RGB", "RGBA", "RGBX", "YCbCr"})

DEEP = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})
"""Grey with 16 bits; `I` only of PPM files, which Pillow scales to 16 bits: elsewhere its range is unknown."""

BROKEN = (
    OSError, EOFError, LookupError, SyntaxError, ValueError, TypeError, ArithmeticError, AttributeError, RuntimeError,
    MemoryError, struct.error, zlib.error,
)  # fmt: skip
"""What Pillow's plugins raise about a file that is no picture or is cut short."""

READABLE = tuple(name for name in FORMATS if name in Image.OPEN)
"""The formats that this installation of Pillow has been built with."""

SMALL_EDGE = 96
"""Pictures of one size with edges up to this are used at their own size."""

LARGE_SIDE = 224
"""Working size of all others, unless the data set declares one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """`channels`: 1 when all pictures seen are grey, else 3. `side`: the working size that suits them.

    `deep`: whether one of them has 16 bits a pixel.
    """

    channels: int
    side: int
    deep: bool

    def as_json(self) -> dict[str, int]:
        """As plain numbers."""
        return asdict(self)


def open_picture(name: str, source: Path | IO[bytes]) -> Image.Image:
    """A picture whose header is read. Raises DataFault naming it when it is none, or none we can use."""
    try:
        with warnings.catch_warnings():
            # What can be said about a picture's metadata does not matter, and its size is checked below.
            warnings.simplefilter("ignore")
            picture = Image.open(source, formats=READABLE)
    except Image.DecompressionBombError as error:
        raise _too_large(name) from error
    except UnidentifiedImageError as error:
        raise DataFault(f"{name} cannot be read as a picture ({EXPECTED}); mend or remove it.") from error
    except BROKEN as error:
        reason = f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""
        raise DataFault(f"{name} cannot be read as a picture{reason}; mend or remove it.") from error
    fault = _fault(name, picture)
    if fault is not None:
        picture.close()
        raise fault
    return picture


def check_header(name: str, source: Path | IO[bytes]) -> tuple[int, int, str]:
    """Width, height and mode of a picture. Raises DataFault naming it when it is none, or none we can use."""
    with open_picture(name, source) as picture:
        return *picture.size, picture.mode


def survey(pictures: Iterable[tuple[str, Path | IO[bytes]]]) -> Survey:
    """Looks at the headers of named pictures. Raises DataFault naming the first one that is broken."""
    sizes, modes = set(), set()
    for name, source in pictures:
        width, height, mode = check_header(name, source)
        sizes.add((width, height))
        modes.add(mode)
    small = len(sizes) == 1 and max(next(iter(sizes))) <= SMALL_EDGE
    return Survey(
        channels=1 if modes <= GREY | DEEP else 3,
        side=min(next(iter(sizes))) if small else LARGE_SIDE,
        deep=not modes.isdisjoint(DEEP),
    )


def _fault(name: str, picture: Image.Image) -> DataFault | None:
    if Image.MAX_IMAGE_PIXELS is not None and picture.width * picture.height > Image.MAX_IMAGE_PIXELS:
        return _too_large(name)
    usable = picture.format == "PPM" if picture.mode == "I" else picture.mode in GREY | COLOUR | DEEP
    if usable:
        return None
    return DataFault(f"{name} has pixels of the kind {picture.mode}; pictures have 8 bits a channel, or 16 if grey.")


def _too_large(name: str) -> DataFault:
    most = f"{(Image.MAX_IMAGE_PIXELS or 0) / 1e6:.3g} million"
    return DataFault(f"{name} has more than {most} pixels; make it smaller or remove it.")
