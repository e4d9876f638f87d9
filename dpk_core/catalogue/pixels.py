"""How a picture file becomes `side` x `side` pixels at rest: upright, on a background, whole or its middle.

- EXIF: the picture is turned as its orientation mark says.
- Transparency: what shines through is the background.
- Shape: `whole` fits all of the picture in, stretched by at most `STRETCH`, in the middle of a black square; `middle`
  cuts it to its middle, as usual on ImageNet.
- Of several pictures in a file the first is read, of 16-bit greys the upper 8 bits. Bilinear, with antialiasing.
"""

from __future__ import annotations

import warnings

import numpy as np
from PIL import Image, ImageOps

from dpk_core.catalogue.headers import BROKEN, DEEP, SMALL_EDGE, is_transparent
from dpk_core.catalogue.reading import Background, ReadingRule

LEVELS: dict[Background, int] = {"white": 255, "grey": 128, "black": 0}

STRETCH = 4 / 3
"""A whole picture is stretched by at most this to fill a square: as far as random resized crops stretch theirs."""

MARGIN = 8 / 7
"""Shorter edge over the side of the middle that is kept of large pictures: 256 for 224, as usual on ImageNet."""


def decoded(picture: Image.Image, rule: ReadingRule, *, reduced: bool, upright: bool = True) -> Image.Image:
    """An opened picture's pixels at their own size. Raises what is in `headers.BROKEN`.

    `reduced`: large JPEG files may be decoded at a fraction of their size, where the working size needs no more.
    `upright`: turned as its EXIF mark says.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if reduced:
            picture.draft(rule.mode, (4 * rule.side, 4 * rule.side))
        picture.load()
        if upright:
            picture = _upright(picture)
        if picture.mode in DEEP:
            return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8)).convert(rule.mode)
        if is_transparent(picture):
            level = LEVELS[rule.background]
            whole = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", whole.size, (level, level, level, 255)), whole)
        return picture.convert(rule.mode)


def at_rest(pixels: Image.Image, rule: ReadingRule) -> Image.Image:
    """Decoded pixels as a square of the working side."""
    side = rule.side
    if rule.fit == "middle":
        return pixels.resize((side, side), Image.Resampling.BILINEAR, box=_middle(pixels, side))
    width, height = (
        min(side, max(1, round(side * STRETCH * edge / max(pixels.size)))) for edge in pixels.size
    )  # fmt: skip
    fitted = pixels.resize((width, height), Image.Resampling.BILINEAR)
    if (width, height) == (side, side):
        return fitted
    square = Image.new(rule.mode, (side, side))
    square.paste(fitted, ((side - width) // 2, (side - height) // 2))
    return square


def _upright(picture: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(picture)
    except BROKEN:
        # Marks that cannot be read say nothing, and the pixels are whole.
        return picture


def _middle(pixels: Image.Image, side: int) -> tuple[float, float, float, float]:
    width, height = pixels.size
    inner = min(width, height) / (1 if side <= SMALL_EDGE else MARGIN)
    left, top = (width - inner) / 2, (height - inner) / 2
    if inner == side:
        # Nothing is resized, so pixels stay whole.
        left, top = left // 1, top // 1
    return left, top, left + inner, top + inner
