"""Layouts: which outputs are maps, and what they become."""

import pytest
import torch

from dpk_core.models.layout import MapShape, as_map, map_shape

PICTURES = torch.Size((2, 3, 32, 32))


def test_channels_last_are_put_first() -> None:
    x_BHWC = torch.randn(2, 4, 4, 7)
    map_BCHW = as_map(x_BHWC, "nhwc")
    assert map_BCHW is not None
    assert torch.equal(map_BCHW[1, 6], x_BHWC[1, :, :, 6])


def test_tokens_become_a_map_row_by_row_behind_their_prefix() -> None:
    x_BTC = torch.randn(2, 3 + 16, 7)
    map_BCHW = as_map(x_BTC, "tokens:3")
    assert map_BCHW is not None
    assert map_BCHW.shape == (2, 7, 4, 4)
    assert torch.equal(map_BCHW[0, :, 3, 1], x_BTC[0, 3 + 3 * 4 + 1])


def test_the_first_item_of_a_tuple_counts() -> None:
    x_BCHW = torch.randn(2, 7, 4, 4)
    assert as_map((x_BCHW, (4, 4)), "nchw") is x_BCHW


@pytest.mark.parametrize(
    ("output", "layout"),
    [
        (torch.zeros(2, 17, 7), "tokens:0"), (torch.zeros(2, 1, 7), "tokens:1"), (torch.zeros(2, 7, 4, 4), "tokens:0"),
        (torch.zeros(2, 16, 7), "nchw"), (torch.zeros(2, 7), "nhwc"), (None, "nchw"), ((), "nchw"),
    ],
)  # fmt: skip
def test_what_lacks_the_layout_is_no_map(output: object, layout: str) -> None:
    assert as_map(output, layout) is None


@pytest.mark.parametrize(
    ("shape", "channels", "prefixes", "expected"),
    [
        ((2, 7, 8, 8), None, (), MapShape("nchw", 7, 8)),
        ((2, 8, 8, 7), None, (), MapShape("nhwc", 7, 8)),
        ((2, 8, 8, 8), 8, (), MapShape("nchw", 8, 8)),
        ((2, 17, 7), None, (1, 0), MapShape("tokens:1", 7, 4)),
        ((2, 16, 7), None, (1, 0), MapShape("tokens:0", 7, 4)),
        ((2, 21, 7), 7, range(6), MapShape("tokens:5", 7, 4)),
        ((2, 7, 8, 8), 6, (), None),
        ((2, 7, 8, 4), None, (), None),
        ((2, 7, 1, 1), None, (), None),
        ((2, 2, 7), None, (1,), None),
        ((8, 16, 7), None, (0,), None),
        ((), None, (), None),
    ],
)  # fmt: skip
def test_maps_are_told_by_their_shape(
    shape: tuple[int, ...], channels: int | None, prefixes: tuple[int, ...], expected: MapShape | None
) -> None:
    assert map_shape(torch.zeros(shape), PICTURES, channels, prefixes) == expected
