"""Networks are fed as they were trained, out of pictures normalised for the data set."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dpk_core.models.preprocessing import feed_as_trained, side_seen
from dpk_core.preprocessing import COMMON_SCALINGS, ModelPreprocessing

RAW_BCHW = torch.randint(0, 256, (4, 3, 8, 8), generator=torch.Generator().manual_seed(0)).float()
MEAN, STD = torch.tensor([100.0, 120.0, 90.0]), torch.tensor([50.0, 60.0, 70.0])
PICTURES_BCHW = (RAW_BCHW - MEAN[:, None, None]) / STD[:, None, None]


class Seen(nn.Module):
    """Gives what it is given."""

    def forward(self, pictures_BCHW: Tensor) -> Tensor:
        return pictures_BCHW


def seen(own: ModelPreprocessing) -> Tensor:
    model = Seen()
    feed_as_trained(model, own, MEAN, STD)
    given: Tensor = model(PICTURES_BCHW)
    return given


def by_channel(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values)[:, None, None]


@pytest.mark.parametrize("name", COMMON_SCALINGS)
def test_a_network_sees_its_own_scaling(name: str) -> None:
    own = COMMON_SCALINGS[name]
    assert own.mean is not None
    assert own.std is not None
    expected = (own.scale * RAW_BCHW / 255 - by_channel(own.mean)) / by_channel(own.std)
    torch.testing.assert_close(seen(own), expected, rtol=1e-4, atol=1e-4)


def test_channels_are_turned_before_they_are_scaled() -> None:
    own = ModelPreprocessing(mean=(103.9, 116.8, 123.7), std=(1.0,), scale=255.0, channel_order="bgr")
    with pytest.raises(AssertionError):
        torch.testing.assert_close(seen(own), RAW_BCHW - by_channel(own.mean or ()))
    torch.testing.assert_close(seen(own), RAW_BCHW.flip(1) - by_channel(own.mean or ()), rtol=1e-4, atol=1e-3)


def test_without_a_scaling_pictures_are_resized_alone() -> None:
    own = ModelPreprocessing(side=16, interpolation="bicubic")
    expected = F.interpolate(PICTURES_BCHW, size=(16, 16), mode="bicubic", antialias=True)
    torch.testing.assert_close(seen(own), expected)
    assert seen(ModelPreprocessing(side=8)).equal(PICTURES_BCHW)
    assert seen(ModelPreprocessing(side=4, interpolation="nearest")).shape == (4, 3, 4, 4)


def test_grey_pictures_are_three_channels_where_the_network_tells_them_apart() -> None:
    grey, own = RAW_BCHW[:, :1], COMMON_SCALINGS["ImageNet's"]
    assert own.mean is not None
    assert own.std is not None
    model = Seen()
    feed_as_trained(model, own, MEAN[:1], STD[:1])
    expected = (grey / 255 - by_channel(own.mean)) / by_channel(own.std)
    torch.testing.assert_close(model((grey - MEAN[0]) / STD[0]), expected, rtol=1e-4, atol=1e-4)
    one = Seen()
    feed_as_trained(one, ModelPreprocessing(mean=(0.5,) * 3, std=(0.5,) * 3), MEAN[:1], STD[:1])
    assert one((grey - MEAN[0]) / STD[0]).shape == grey.shape


def test_a_copy_is_fed_alike_and_knows_its_side() -> None:
    model = Seen()
    feed_as_trained(model, ModelPreprocessing(side=16), MEAN, STD)
    again = copy.deepcopy(model)
    assert again(PICTURES_BCHW).shape[-1] == side_seen(again, 8) == 16
    assert side_seen(Seen(), 8) == 8
