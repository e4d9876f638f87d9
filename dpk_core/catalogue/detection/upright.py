"""A picture in the frame that its boxes are given in."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from dpk_core.catalogue.headers import BROKEN, SIDEWAYS, exif_mark, open_picture
from dpk_core.catalogue.pixels import decoded
from dpk_core.catalogue.reading import Background, ReadingRule
from dpk_core.errors import DataFault


def opened(
    name: str, content: bytes, height: int, width: int, side: int, background: Background = "white"
) -> Image.Image:
    """The decoded picture. `height`, `width`: as its annotations give them; `side`: the longer one that is wanted, for
    formats that can be decoded smaller.

    It is turned upright as its EXIF mark says, unless only the unturned picture has the annotated size: then its boxes
    are of that one. Raises DataFault naming a picture that is broken or of another size.
    """
    rule = ReadingRule(channels=3, side=side, background=background)
    with open_picture(name, io.BytesIO(content)) as picture:
        upright = _is_upright(name, picture, height, width)
        try:
            return decoded(picture, rule, reduced=True, upright=upright)
        except BROKEN as error:
            raise DataFault(f"{name} cannot be decoded; mend or remove it.") from error


def check_size(name: str, path: Path, height: int, width: int) -> None:
    """Looks at a picture's header alone. Raises DataFault as `opened` does, save for pixels that cannot be decoded."""
    with open_picture(name, path) as picture:
        _is_upright(name, picture, height, width)


def _is_upright(name: str, picture: Image.Image, height: int, width: int) -> bool:
    """Whether boxes are of the upright picture. Raises DataFault where they are of another size than both."""
    stored = picture.size
    # Pillow turns TIFF files itself.
    sideways = exif_mark(picture) in SIDEWAYS and picture.format != "TIFF"
    upright = not sideways or stored != (width, height) or width == height
    found = stored[::-1] if sideways and upright else stored
    if found != (width, height):
        raise DataFault(
            f"{name} is {found[0]} x {found[1]} px, and its annotations are of {width} x {height} px; mend one."
        )
    return upright
