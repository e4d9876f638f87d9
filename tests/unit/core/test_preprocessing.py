"""How pictures were prepared for a network, as plain data."""

from __future__ import annotations

from typing import Any

import pytest

from dpk_core.preprocessing import COMMON_SCALINGS, ModelPreprocessing, asked_for


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"mean": (0.5,)}, "mean and std belong together"),
        ({"mean": (0.5, 0.5), "std": (1.0,)}, "mean must be one number, or one for each of three channels"),
        ({"mean": (0.5,), "std": (0.0,)}, "std must be above 0"),
        ({"mean": (0.5,), "std": (float("nan"),)}, "std must be one number"),
        ({"scale": 0.0}, "scale must be above 0"),
        ({"side": 0}, "side must be in 1"),
        ({"mean": (0.5,), "std": (0.5,), "measured": True}, "either given or measured"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        ModelPreprocessing(**given)


def test_grey_pictures_become_three_channels_where_these_differ() -> None:
    imagenet = COMMON_SCALINGS["ImageNet's"]
    assert (imagenet.channels(1), imagenet.channels(3), imagenet.grey().channels(1)) == (3, 3, 1)
    assert ModelPreprocessing(mean=(0.5,) * 3, std=(0.5,) * 3).channels(1) == 1


def test_a_scaling_is_named_as_the_command_line_takes_it() -> None:
    assert {name: asked_for(each) for name, each in COMMON_SCALINGS.items()} == {
        "ImageNet's": "mean=0.485/0.456/0.406,std=0.229/0.224/0.225",
        "−1 … 1": "mean=0.5,std=0.5",
        "0 … 1": "mean=0,std=1",
        "0 … 255": "scale=255,mean=0,std=1",
    }
