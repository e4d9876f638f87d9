"""Formats of picture files that are read, each with Pillow's endings of its file names.

A list of its own, because Pillow also opens formats that run a program (EPS), that are scarcely tested or that take
any bytes for a picture (TGA). Of animated or layered files the first picture is read.
"""

from __future__ import annotations

FORMATS: dict[str, tuple[str, ...]] = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png", ".apng"),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),
    "JPEG2000": (".jp2", ".j2k", ".jpc", ".jpf", ".jpx", ".j2c"),
    "AVIF": (".avif", ".avifs"),
}

ENDINGS = frozenset(ending for endings in FORMATS.values() for ending in endings)

EXPECTED = ", ".join(sorted(FORMATS))
"""The formats for a sentence."""


def ending(name: str) -> str:
    """The last dot of a file's name and what follows, in lower case; empty without a dot."""
    place = name.rfind(".")
    return name[place:].lower() if place > 0 else ""
