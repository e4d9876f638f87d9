"""From the bytes of a picture file to pixels at the working size.

At rest, a picture is resized so that its shorter edge is the working side (8/7 of it for large sides: 256 for 224, as
usual on ImageNet) and its middle is kept; for training, a random crop is resized to the working side. Bilinear with
antialiasing. Grey pictures become coloured where the data set is, and the reverse; transparency is dropped.
Of 16 bits the upper 8 are kept, and of several pictures in a file the first.
"""

from __future__ import annotations

import io
import warnings

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dpk_core.catalogue.headers import BROKEN, DEEP, SMALL_EDGE, open_picture
from dpk_core.data.crops import Draws, crop_boxes
from dpk_core.errors import DataFault

MARGIN = 8 / 7


def decode(name: str, content: bytes, channels: int, side: int, crop_A4: Draws | None = None) -> NDArray[np.uint8]:
    """The picture (C x side x side) at rest, or its crop that was drawn. Raises DataFault naming a broken picture."""
    mode = "L" if channels == 1 else "RGB"
    with open_picture(name, io.BytesIO(content)) as picture:
        try:
            pixels = _pixels(picture, mode, None if crop_A4 is not None else 4 * side)
        except BROKEN as error:
            raise DataFault(f"{name} cannot be decoded; mend or remove it.") from error
    box = _middle(pixels, side) if crop_A4 is None else _crop(pixels, crop_A4)
    cut = np.asarray(pixels.resize((side, side), Image.Resampling.BILINEAR, box=box))
    return np.ascontiguousarray(cut[None] if cut.ndim == 2 else cut.transpose(2, 0, 1))


def _pixels(picture: Image.Image, mode: str, least: int | None) -> Image.Image:
    """The decoded picture. Where edges of `least` suffice, large JPEG files are decoded at a fraction of their size."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if least is not None:
            picture.draft(mode, (least, least))
        if picture.mode in DEEP:
            return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8)).convert(mode)
        whole = picture.convert("RGBA") if "transparency" in picture.info else picture
        return whole.convert(mode)


def _middle(pixels: Image.Image, side: int) -> tuple[float, float, float, float]:
    width, height = pixels.size
    inner = min(width, height) / (1 if side <= SMALL_EDGE else MARGIN)
    left, top = (width - inner) / 2, (height - inner) / 2
    if inner == side:
        # Nothing is resized, so pixels stay whole.
        left, top = left // 1, top // 1
    return left, top, left + inner, top + inner


def _crop(pixels: Image.Image, crop_A4: Draws) -> tuple[float, float, float, float]:
    left, top, width, height = crop_boxes(crop_A4[None], pixels.height, pixels.width)[0].tolist()
    return left, top, left + width, top + height
