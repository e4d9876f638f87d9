"""From the bytes of a picture file to pixels at the working size: at rest, or a random crop for training.

`catalogue.pixels` says how a picture is decoded and what it looks like at rest; a random crop is cut from the whole
decoded picture and resized to the working side.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dpk_core.catalogue.headers import BROKEN, open_picture
from dpk_core.catalogue.pixels import at_rest, decoded
from dpk_core.catalogue.reading import ReadingRule
from dpk_core.data.crops import Draws, crop_boxes
from dpk_core.errors import DataFault


def decode(name: str, content: bytes, rule: ReadingRule, crop_A4: Draws | None = None) -> NDArray[np.uint8]:
    """The picture (C x side x side) at rest, or its crop that was drawn. Raises DataFault naming a broken picture."""
    with open_picture(name, io.BytesIO(content)) as picture:
        try:
            pixels = decoded(picture, rule, reduced=crop_A4 is None)
        except BROKEN as error:
            raise DataFault(f"{name} cannot be decoded; mend or remove it.") from error
    cut = np.asarray(at_rest(pixels, rule) if crop_A4 is None else _crop(pixels, crop_A4, rule.side))
    return np.ascontiguousarray(cut[None] if cut.ndim == 2 else cut.transpose(2, 0, 1))


def _crop(pixels: Image.Image, crop_A4: Draws, side: int) -> Image.Image:
    left, top, width, height = crop_boxes(crop_A4[None], pixels.height, pixels.width)[0].tolist()
    box = (left, top, left + width, top + height)
    return pixels.resize((side, side), Image.Resampling.BILINEAR, box=box)
