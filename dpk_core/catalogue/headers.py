"""What the headers of picture files say, without decoding one: sizes, and whether they are grey or in colour.

The one door to Pillow: whoever opens a picture does it with `open_picture`, which tries the formats of `formats` alone.
"""

from __future__ import annotations

import math
import os
import struct
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
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
from dpk_core.catalogue.reading import Fit
from dpk_core.catalogue.survey import FAR_LARGER, MOST, OBLONG, HeaderSummary
from dpk_core.display import listed, shown
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
"""Pictures with edges up to this are used at their own size."""

ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND"}
"""The last bytes of each format. A GIF's is one, `;`, which may be anywhere: there it must be the very last."""
TAIL = 64
"""Bytes at the end of a file in which they are looked for."""

LARGE_SIDE = 224
"""Working size of all others, unless the data set declares one."""


ORIENTATION = 0x0112
"""EXIF's tag that says how a picture is to be turned."""

SIDEWAYS = range(5, 9)
"""Its values under which width and height change places."""


@dataclass(frozen=True, slots=True)
class Header:
    """What the header of a picture says. `width`, `height`: once it is `turned` upright as its EXIF mark says."""

    width: int
    height: int
    mode: str
    turned: bool
    transparent: bool


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


def check_header(name: str, source: Path | IO[bytes]) -> Header:
    """The header of a picture. Raises DataFault naming it when it is none, or none we can use, or cut short."""
    with open_picture(name, source) as picture:
        mark = exif_mark(picture)
        # Pillow turns the size of TIFF files itself.
        sideways = mark in SIDEWAYS and picture.format != "TIFF"
        width, height = picture.size[::-1] if sideways else picture.size
        found = Header(width, height, picture.mode, mark > 1, is_transparent(picture))
        if not _has_end(picture):
            _check_whole(name, picture)
        return found


def _has_end(picture: Image.Image) -> bool:
    """Whether the file ends as its format does, which one that was not copied whole does not."""
    end = ENDS.get(picture.format or "")
    file: IO[bytes] | None = getattr(picture, "fp", None)
    if (end is None and picture.format != "GIF") or file is None:
        return True
    place = file.tell()
    file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
    tail = file.read(TAIL)
    file.seek(place)
    return tail.rstrip(b"\0").endswith(b";") if end is None else end in tail


def _check_whole(name: str, picture: Image.Image) -> None:
    """Decodes it, as a picture that is whole may have something behind its end."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture.load()
    except BROKEN as error:
        raise DataFault(f"{name} is cut short and cannot be decoded; mend or remove it.") from error


def is_transparent(picture: Image.Image) -> bool:
    """Whether the picture has a channel, a colour or palette entries for transparency."""
    return picture.mode not in DEEP and (picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info)


def survey(pictures: Iterable[tuple[str, Path | IO[bytes]]]) -> HeaderSummary:
    """Looks at the headers of named pictures. Raises DataFault naming all that are broken, the first with its fault."""
    headers: Counter[Header] = Counter()
    largest, largest_name = (0, 0), ""
    broken: list[tuple[str, DataFault]] = []
    for name, source in pictures:
        try:
            header = check_header(name, source)
        except DataFault as fault:
            broken.append((name, fault))
            continue
        headers[header] += 1
        if header.width * header.height > largest[0] * largest[1]:
            largest, largest_name = (header.width, header.height), shown(name)
    if broken:
        raise _all_broken(broken)
    return _summary(headers, largest, largest_name)


def working_side(seen: HeaderSummary, fit: Fit) -> int:
    """The side that suits pictures of these sizes: their own where nearly all are small, else `LARGE_SIDE`."""
    if seen.longer_edge > SMALL_EDGE:
        return LARGE_SIDE
    return seen.longer_edge if fit == "whole" else seen.shorter_edge


def _summary(headers: Counter[Header], largest: tuple[int, int], largest_name: str) -> HeaderSummary:
    sizes: Counter[tuple[int, int]] = Counter()
    for header, count in headers.items():
        sizes[header.width, header.height] += count
    longer = _reaching(sizes, max)
    (usual_size, usual) = min(sizes.items(), key=lambda each: (-each[1], each[0]))

    def having(holds: Callable[[Header], bool]) -> int:
        return sum(number for header, number in headers.items() if holds(header))

    return HeaderSummary(
        pictures=headers.total(),
        grey=having(lambda header: header.mode in GREY | DEEP),
        deep=having(lambda header: header.mode in DEEP),
        turned=having(lambda header: header.turned),
        transparent=having(lambda header: header.transparent),
        oblong=having(lambda header: _shape(header.width, header.height) > OBLONG),
        most_oblong=max(_shape(*size) for size in sizes),
        far_larger=having(lambda header: max(header.width, header.height) > FAR_LARGER * longer),
        longer_edge=longer,
        shorter_edge=_reaching(sizes, min),
        smallest=min(sizes, key=lambda size: (size[0] * size[1], size)),
        usual_size=usual_size,
        usual=usual,
        largest=largest,
        largest_name=largest_name,
    )


def _shape(width: int, height: int) -> float:
    return max(width, height) / min(width, height)


def _reaching(sizes: Mapping[tuple[int, int], int], edge: Callable[[tuple[int, int]], int]) -> int:
    """The smallest edge that is not below those of `MOST` of the pictures."""
    edges: Counter[int] = Counter()
    for size, count in sizes.items():
        edges[edge(size)] += count
    lengths = sorted(edges.elements())
    return lengths[math.ceil(MOST * len(lengths)) - 1]


def exif_mark(picture: Image.Image) -> int:
    """The EXIF orientation, 1 … 8, without decoding; 1: upright."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # The plugin's own method would decode a PNG file first.
            found = Image.Image.getexif(picture).get(ORIENTATION, 1)
    except BROKEN:
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def _all_broken(broken: list[tuple[str, DataFault]]) -> DataFault:
    (_, first), *others = broken
    if not others:
        return first
    names = listed([name for name, _ in others])
    return DataFault(f"{first} So it is with {len(others)} more: {names}.")


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
