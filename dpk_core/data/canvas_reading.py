"""Picture files on the canvas, in the frame that its boxes are given in."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dpk_core.catalogue.detection.index import SplitIndex
from dpk_core.catalogue.headers import BROKEN, SIDEWAYS, exif_mark, open_picture
from dpk_core.catalogue.pixels import decoded
from dpk_core.catalogue.reading import Background, ReadingRule
from dpk_core.data.boxes import fitted_size
from dpk_core.detection_settings import Canvas
from dpk_core.errors import DataFault


def read_on_canvas(
    name: str, content: bytes, height: int, width: int, canvas: Canvas, background: Background = "white"
) -> NDArray[np.uint8]:
    """The picture (3 x canvas) at the top left of a black canvas. `height`, `width`: as its annotations give them.

    It is turned upright as its EXIF mark says, unless only the unturned picture has the annotated size: then its boxes
    are of that one. Raises DataFault naming a picture that is broken or of another size.
    """
    rule = ReadingRule(channels=3, side=max(canvas.height, canvas.width), background=background)
    with open_picture(name, io.BytesIO(content)) as picture:
        stored = picture.size
        # Pillow turns TIFF files itself.
        sideways = exif_mark(picture) in SIDEWAYS and picture.format != "TIFF"
        upright = not sideways or stored != (width, height) or width == height
        found = stored[::-1] if sideways and upright else stored
        if found != (width, height):
            raise DataFault(
                f"{name} is {found[0]} x {found[1]} px, and its annotations are of {width} x {height} px; mend one."
            )
        try:
            pixels = decoded(picture, rule, reduced=True, upright=upright)
        except BROKEN as error:
            raise DataFault(f"{name} cannot be decoded; mend or remove it.") from error
    inner_height, inner_width = fitted_size(height, width, canvas)
    whole = np.zeros((3, canvas.height, canvas.width), np.uint8)
    fitted = pixels.resize((inner_width, inner_height), Image.Resampling.BILINEAR)
    whole[:, :inner_height, :inner_width] = np.asarray(fitted).transpose(2, 0, 1)
    return whole


def read_picture(folder: Path, split: SplitIndex, picture: int, canvas: Canvas) -> NDArray[np.uint8]:
    """A picture of a split (3 x canvas). Raises DataFault naming it where it cannot be read."""
    name = split.name(picture)
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        raise DataFault(f"{name} cannot be read: {error.strerror}.") from error
    height, width = split.sizes_N2[picture].tolist()
    return read_on_canvas(name, content, height, width, canvas)
