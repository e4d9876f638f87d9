"""Picture files on the canvas, in the frame that its boxes are given in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dpk_core.catalogue.detection.index import SplitIndex
from dpk_core.catalogue.detection.upright import opened
from dpk_core.catalogue.reading import Background
from dpk_core.data.boxes import fitted_size
from dpk_core.detection_settings import Canvas
from dpk_core.errors import DataFault


def read_on_canvas(
    name: str, content: bytes, height: int, width: int, canvas: Canvas, background: Background = "white"
) -> NDArray[np.uint8]:
    """The picture (3 x canvas) at the top left of a black canvas, in the frame of its annotations, which give it
    `height` and `width`. Raises DataFault naming a picture that is broken or of another size."""
    pixels = opened(name, content, height, width, max(canvas.height, canvas.width), background)
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
