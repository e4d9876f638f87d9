"""From bytes to pixels: exact where nothing is resized, as torchvision does it where something is."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from dpk_core.data.crops import crop_boxes, draw_crops
from dpk_core.data.decode import decode
from dpk_core.errors import DataFault
from tests.unit.catalogue.picture_sets import encoded, pixels


def test_at_its_own_size_a_picture_is_unchanged() -> None:
    picture = pixels(0)
    assert np.array_equal(decode("x", encoded(picture), 3, 12), picture.transpose(2, 0, 1))


def test_of_an_oblong_small_picture_the_middle_is_kept() -> None:
    picture = pixels(0, 12, 17)
    assert np.array_equal(decode("x", encoded(picture), 3, 12), picture[:, 2:14].transpose(2, 0, 1))


def smooth(height: int, width: int) -> Image.Image:
    """A picture of a few waves, in which interpolations differ little."""
    rows, columns = np.mgrid[:height, :width] * (10 / height)
    waves = [np.sin(rows), np.cos(columns), np.sin(rows + columns)]
    return Image.fromarray((127 + 120 * np.stack(waves, 2)).astype(np.uint8))


def test_a_large_picture_is_resized_and_cut_as_usual_on_imagenet() -> None:
    picture = smooth(300, 375)
    usual = v2.Compose([v2.Resize(256), v2.CenterCrop(224), v2.PILToTensor()])(picture)
    found = torch.from_numpy(decode("x", encoded(np.asarray(picture)), 3, 224))
    assert (found.float() - usual.float()).abs().max() <= 3


def test_a_huge_jpeg_looks_the_same_though_it_is_decoded_at_a_fraction() -> None:
    picture = smooth(2000, 2500)
    buffer = io.BytesIO()
    picture.save(buffer, "jpeg", quality=95)
    usual = v2.Compose([v2.Resize(64), v2.CenterCrop(64), v2.PILToTensor()])(picture)
    found = torch.from_numpy(decode("x", buffer.getvalue(), 3, 64))
    assert (found.float() - usual.float()).abs().max() <= 6


def test_a_random_crop_is_its_box_resized() -> None:
    picture, draws = smooth(150, 200), draw_crops(0, 0, 4)
    for crop in draws:
        left, top, width, height = crop_boxes(crop[None], 150, 200)[0].tolist()
        box = picture.crop((left, top, left + width, top + height)).resize((64, 64), Image.Resampling.BILINEAR)
        found = decode("x", encoded(np.asarray(picture)), 3, 64, crop)
        assert np.abs(found.astype(int) - np.asarray(box).transpose(2, 0, 1)).max() <= 4


def test_grey_and_colour_become_what_the_data_set_is() -> None:
    grey, colour = pixels(0, channels=1), pixels(1)
    assert np.array_equal(decode("x", encoded(grey), 3, 12), np.stack([grey] * 3))
    assert decode("x", encoded(colour), 1, 12).shape == (1, 12, 12)


def test_transparency_is_dropped() -> None:
    picture = Image.fromarray(pixels(0)).convert("RGBA")
    picture.putalpha(0)
    assert np.array_equal(decode("x", encoded(np.asarray(picture)), 3, 12), pixels(0).transpose(2, 0, 1))


def test_a_palette_with_transparency_is_read_without_complaint() -> None:
    buffer = io.BytesIO()
    Image.fromarray(pixels(0)).quantize(4).save(buffer, "png", transparency=b"\x00\x80\xff\xff")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decode("x", buffer.getvalue(), 3, 12).shape == (3, 12, 12)


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "bmp"])
def test_a_file_cut_short_is_named(kind: str) -> None:
    content = encoded(pixels(0, 64, 64), kind)
    with pytest.raises(DataFault, match=r"made/train/ant/000 cannot be (decoded|read as a picture); mend or remove it"):
        decode("made/train/ant/000", content[: len(content) // 2], 3, 12)
