"""From bytes to pixels: exact where nothing is resized, as torchvision does it where something is."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from dpk_core.catalogue.headers import ORIENTATION, check_header
from dpk_core.catalogue.pixels import decoded
from dpk_core.catalogue.reading import Background
from dpk_core.data.crops import crop_boxes, draw_crops
from dpk_core.data.decode import decode
from dpk_core.errors import DataFault
from tests.unit.catalogue.picture_sets import encoded, pixels, rule


def test_at_its_own_size_a_picture_is_unchanged() -> None:
    picture = pixels(0)
    assert np.array_equal(decode("x", encoded(picture), rule(3, 12)), picture.transpose(2, 0, 1))


def test_of_an_oblong_small_picture_the_middle_is_kept() -> None:
    picture = pixels(0, 12, 17)
    found = decode("x", encoded(picture), rule(3, 12, "middle"))
    assert np.array_equal(found, picture[:, 2:14].transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("size", "side", "filled"),
    [
        ((12, 12), 12, (12, 12)), ((12, 16), 16, (16, 16)), ((12, 24), 24, (16, 24)), ((24, 12), 24, (24, 16)),
        ((4, 48), 48, (5, 48)), ((1, 480), 24, (1, 24)), ((300, 600), 224, (149, 224)),
    ],
)  # fmt: skip
def test_of_an_oblong_picture_all_is_kept(size: tuple[int, int], side: int, filled: tuple[int, int]) -> None:
    """Its shorter edge is stretched by at most 4/3, and the rest of the square is black."""
    found = decode("x", encoded(np.full((*size, 3), 200, np.uint8)), rule(3, side))
    lit = (found == 200).all(0)
    assert (lit.any(1).sum(), lit.any(0).sum(), lit.sum()) == (*filled, filled[0] * filled[1])
    assert not found[:, ~lit].any()


def test_both_ends_of_an_oblong_picture_are_seen() -> None:
    picture = np.zeros((16, 64), np.uint8)
    picture[:, :8], picture[:, -8:] = 100, 200
    found = decode("x", encoded(picture), rule(1, 64))[0]
    assert (found[32, 4], found[32, 32], found[32, 60]) == (100, 0, 200)
    assert not decode("x", encoded(picture), rule(1, 16, "middle")).any()


UPRIGHT = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20


@pytest.mark.parametrize("kind", ["png", "tiff", "webp", "jpeg"])
@pytest.mark.parametrize("mark", range(1, 9))
def test_a_picture_is_turned_as_its_mark_says(kind: str, mark: int) -> None:
    """EXIF 2.3, tag 274: 3 is on its head, 6 and 8 on its sides, the even ones beside 6 and 8 and 5, 7 are mirrored."""
    stored = {
        1: UPRIGHT, 2: np.fliplr(UPRIGHT), 3: np.rot90(UPRIGHT, 2), 4: np.flipud(UPRIGHT), 5: UPRIGHT.T,
        6: np.rot90(UPRIGHT), 7: np.rot90(UPRIGHT.T, 2), 8: np.rot90(UPRIGHT, -1),
    }[mark]  # fmt: skip
    # Blocks of 8 x 8 pixels, so that formats with losses keep them.
    blocks, marks, stream = np.kron(stored, np.ones((8, 8), np.uint8)), Image.Exif(), io.BytesIO()
    marks[ORIENTATION] = mark
    Image.fromarray(blocks).save(stream, kind, exif=marks, **({"lossless": True} if kind == "webp" else {}))
    header = check_header("x", io.BytesIO(stream.getvalue()))
    assert (header.width, header.height, header.turned) == (32, 24, mark > 1)
    with Image.open(stream) as picture:
        upright = np.asarray(decoded(picture, rule(1, 32), reduced=False))
    assert np.abs(upright.astype(int) - np.kron(UPRIGHT, np.ones((8, 8), np.uint8))).max() <= 3


def test_a_mark_that_cannot_be_read_says_nothing() -> None:
    stream = io.BytesIO()
    Image.fromarray(pixels(0)).save(stream, "png", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert not check_header("x", io.BytesIO(stream.getvalue())).turned
    assert np.array_equal(decode("x", stream.getvalue(), rule(3, 12)), pixels(0).transpose(2, 0, 1))


def smooth(height: int, width: int) -> Image.Image:
    """A picture of a few waves, in which interpolations differ little."""
    rows, columns = np.mgrid[:height, :width] * (10 / height)
    waves = [np.sin(rows), np.cos(columns), np.sin(rows + columns)]
    return Image.fromarray((127 + 120 * np.stack(waves, 2)).astype(np.uint8))


def test_a_large_picture_is_resized_and_cut_as_usual_on_imagenet() -> None:
    picture = smooth(300, 375)
    usual = v2.Compose([v2.Resize(256), v2.CenterCrop(224), v2.PILToTensor()])(picture)
    found = torch.from_numpy(decode("x", encoded(np.asarray(picture)), rule(3, 224, "middle")))
    assert (found.float() - usual.float()).abs().max() <= 3


def test_a_huge_jpeg_looks_the_same_though_it_is_decoded_at_a_fraction() -> None:
    picture = smooth(2000, 2500)
    buffer = io.BytesIO()
    picture.save(buffer, "jpeg", quality=95)
    usual = v2.Compose([v2.Resize(64), v2.CenterCrop(64), v2.PILToTensor()])(picture)
    found = torch.from_numpy(decode("x", buffer.getvalue(), rule(3, 64, "middle")))
    assert (found.float() - usual.float()).abs().max() <= 6


def test_a_random_crop_is_its_box_resized() -> None:
    picture, draws = smooth(150, 200), draw_crops(0, 0, 4)
    for crop in draws:
        left, top, width, height = crop_boxes(crop[None], 150, 200)[0].tolist()
        box = picture.crop((left, top, left + width, top + height)).resize((64, 64), Image.Resampling.BILINEAR)
        found = decode("x", encoded(np.asarray(picture)), rule(3, 64), crop)
        assert np.abs(found.astype(int) - np.asarray(box).transpose(2, 0, 1)).max() <= 4


def test_grey_and_colour_become_what_the_data_set_is() -> None:
    grey, colour = pixels(0, channels=1), pixels(1)
    assert np.array_equal(decode("x", encoded(grey), rule(3, 12)), np.stack([grey] * 3))
    assert decode("x", encoded(colour), rule(1, 12)).shape == (1, 12, 12)


@pytest.mark.parametrize(("background", "level"), [("white", 255), ("grey", 128), ("black", 0)])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_what_shines_through_is_the_background(mode: str, background: Background, level: int) -> None:
    picture = Image.fromarray(np.full((12, 12), 60, np.uint8)).convert("RGBA")
    alpha = np.full((12, 12), 255, np.uint8)
    alpha[:4], alpha[4:8] = 0, 128
    picture.putalpha(Image.fromarray(alpha))
    stream = io.BytesIO()
    picture.convert(mode).save(stream, "png")
    for channels in (1, 3):
        found = decode("x", stream.getvalue(), rule(channels, 12, background=background))
        assert (found[:, :4] == level).all()
        assert np.abs(found[:, 4:8].astype(int) - (60 + level) // 2).max() <= 1
        assert (found[:, 8:] == 60).all()


def test_a_palette_with_transparency_is_read_without_complaint() -> None:
    buffer = io.BytesIO()
    Image.fromarray(pixels(0)).quantize(4).save(buffer, "png", transparency=b"\x00\x80\xff\xff")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = decode("x", buffer.getvalue(), rule(3, 12))
    # The palette's first colour lets all of the background through.
    assert (found == 255).all(0).any()


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "bmp"])
def test_a_file_cut_short_is_named(kind: str) -> None:
    content = encoded(pixels(0, 64, 64), kind)
    with pytest.raises(DataFault, match=r"made/train/ant/000 cannot be (decoded|read as a picture); mend or remove it"):
        decode("made/train/ant/000", content[: len(content) // 2], rule(3, 12))
