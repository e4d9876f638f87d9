"""RandAugment does what torchvision's does, to the pictures that the seed and the step choose."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.functional import InterpolationMode

from dpk_core.data.randaugment import GREATEST, OPERATIONS, ROUNDS, randaugment
from dpk_core.data.rows import BatchRows, whole_batch

LIBRARY = v2.RandAugment


def pictures(count: int, channels: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 200, (count, channels, 24, 20), dtype=torch.uint8, generator=generator)


def test_the_operations_are_the_librarys() -> None:
    assert list(OPERATIONS) == list(LIBRARY._AUGMENTATION_SPACE)
    assert (LIBRARY().num_ops, LIBRARY().num_magnitude_bins) == (ROUNDS, GREATEST + 1)


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("magnitude", [0, 9, 30])
@pytest.mark.parametrize("sign", [1, -1])
def test_an_operation_gives_what_the_librarys_does(name: str, magnitude: int, sign: int) -> None:
    operation, signed = OPERATIONS[name]
    strengths, theirs_signed = LIBRARY._AUGMENTATION_SPACE[name]
    assert signed == theirs_signed
    if sign < 0 and not signed:
        return
    strength = strengths(GREATEST + 1, 24, 20)
    theirs = LIBRARY()._apply_image_or_video_transform(
        pictures(3), name, 0.0 if strength is None else sign * float(strength[magnitude]),
        interpolation=InterpolationMode.NEAREST, fill={Tensor: None},
    )  # fmt: skip
    # One grey level: the library rounds its strengths to float32.
    torch.testing.assert_close(operation(pictures(3), sign * magnitude / GREATEST), theirs, rtol=0, atol=1)


@pytest.mark.parametrize("channels", [1, 3])
def test_seed_step_and_place_alone_decide(channels: int) -> None:
    whole = pictures(40, channels)
    first = randaugment(whole, 9, 1, 2, whole_batch(40))
    torch.manual_seed(5)
    assert torch.equal(first, randaugment(whole, 9, 1, 2, whole_batch(40)))
    assert not torch.equal(first, randaugment(whole, 9, 1, 3, whole_batch(40)))
    assert not torch.equal(first, randaugment(whole, 9, 2, 2, whole_batch(40)))
    places = torch.tensor([30, 3, 17])
    assert torch.equal(first[places], randaugment(whole[places], 9, 1, 2, BatchRows(40, places)))
    assert (first.shape, first.dtype) == (whole.shape, torch.uint8)


def test_every_operation_is_drawn_and_the_pictures_given_stay() -> None:
    same = pictures(1).expand(400, -1, -1, -1)
    before = same.clone()
    after = randaugment(same, 9, 0, 0, whole_batch(400))
    assert torch.equal(same, before)
    # Pairs of 14 operations, 9 of them either way: far more than a hundred outcomes.
    assert len({bytes(picture.flatten().tolist()) for picture in after}) > 100
    assert 0 < sum(torch.equal(picture, before[0]) for picture in after) < 40
