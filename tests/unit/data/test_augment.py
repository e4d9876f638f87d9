"""Augmentations move pictures, lose nothing else, and follow their generator alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dpk_core.data.augment import augment
from dpk_core.spec import Augmentation


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(side: int) -> Tensor:
    return torch.randint(1, 256, (16, 3, side, side), dtype=torch.uint8, generator=generator(9))


@pytest.mark.parametrize("kind", ["none", "shift", "crop_flip", "resized_crop_flip"])
class TestEvery:
    def test_shape_and_type_stay(self, kind: Augmentation) -> None:
        assert augment(kind, pictures(8), generator()).shape == (16, 3, 8, 8)
        assert augment(kind, pictures(8), generator()).dtype == torch.uint8

    def test_the_generator_alone_decides(self, kind: Augmentation) -> None:
        torch.manual_seed(1)
        first = augment(kind, pictures(8), generator())
        torch.manual_seed(2)
        assert torch.equal(first, augment(kind, pictures(8), generator()))
        assert torch.equal(first, augment(kind, pictures(8), generator(5))) == (kind == "none")


def offsets(picture_CHW: Tensor, moved_CHW: Tensor, border: int) -> list[tuple[int, int]]:
    """The translations, zeros coming in, that turn the one picture into the other."""
    side = picture_CHW.shape[-1]
    padded = torch.nn.functional.pad(picture_CHW, (border,) * 4)
    span = range(2 * border + 1)
    return [(y, x) for y in span for x in span if torch.equal(padded[:, y : y + side, x : x + side], moved_CHW)]


@pytest.mark.parametrize(("side", "border"), [(8, 1), (28, 1), (32, 2)])
def test_shift_translates_each_picture_on_its_own(side: int, border: int) -> None:
    before = pictures(side)
    after = augment("shift", before, generator())
    found = {offsets(old, new, border)[0] for old, new in zip(before, after, strict=True)}
    assert len(found) > 3


def test_crop_flip_crops_and_mirrors_about_half() -> None:
    before = pictures(32)
    after = augment("crop_flip", before, generator())
    plain = [bool(offsets(old, new, 4)) for old, new in zip(before, after, strict=True)]
    mirrored = [bool(offsets(old, new.flip(-1), 4)) for old, new in zip(before, after, strict=True)]
    assert all(one != other for one, other in zip(plain, mirrored, strict=True))
    assert 2 < sum(mirrored) < 14


def test_pictures_that_come_as_crops_are_only_mirrored() -> None:
    before = pictures(32)
    after = augment("resized_crop_flip", before, generator())
    mirrored = [torch.equal(old.flip(-1), new) for old, new in zip(before, after, strict=True)]
    assert all(torch.equal(old, new) != other for old, new, other in zip(before, after, mirrored, strict=True))
    assert 2 < sum(mirrored) < 14
