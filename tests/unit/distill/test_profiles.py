"""Sizes by profile: always buildable, the authors' where they gave them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpk_core.distill.profiles import STAGES, StageShape, stage_sizes
from dpk_core.spec import ProfileName


def shape(
    channels: int, side: tuple[int, int], stage: str = "last", pair: tuple[str, str] = ("a/a", "b/b")
) -> StageShape:
    return StageShape(stage=stage, teacher=pair[0], student=pair[1], teacher_channels=channels, side=side)


@given(
    profile=st.sampled_from(["probe", "paper"]), channels=st.integers(8, 4096),
    side=st.tuples(st.integers(2, 64), st.integers(2, 64)), stage=st.sampled_from(STAGES),
)  # fmt: skip
def test_patches_tile_every_map_and_heads_divide_the_width(
    profile: ProfileName, channels: int, side: tuple[int, int], stage: str
) -> None:
    sizes = stage_sizes(profile, shape(channels, side, stage))
    assert side[0] % sizes.patch == 0 == side[1] % sizes.patch
    assert (side[0] // sizes.patch) * (side[1] // sizes.patch) >= 4
    assert sizes.encoder_width % (2 * sizes.encoder_heads) == 0
    assert sizes.decoder_width % (2 * sizes.decoder_heads) == 0


@pytest.mark.parametrize(
    ("side", "patch"), [((2, 2), 1), ((8, 8), 1), ((16, 16), 2), ((32, 32), 4), ((9, 9), 3), ((17, 17), 1)]
)
def test_probe_keeps_to_64_tokens_where_the_map_can_be_tiled(side: tuple[int, int], patch: int) -> None:
    assert stage_sizes("probe", shape(64, side)).patch == patch


def test_paper_gives_the_authors_sizes_for_a_listed_pair() -> None:
    pair = ("cifar/resnet32x4", "cifar/resnet8x4")
    last = stage_sizes("paper", shape(256, (8, 8), "last", pair))
    second_last = stage_sizes("paper", shape(128, (16, 16), "second_last", pair))
    assert (last.encoder_width, last.encoder_depth, last.encoder_heads) == (180, 6, 4)
    assert (last.decoder_width, last.decoder_depth, last.patch) == (256, 4, 1)
    assert (second_last.encoder_width, second_last.decoder_width, second_last.patch) == (160, 128, 1)


def test_probe_is_far_smaller_than_paper() -> None:
    probe, paper = (stage_sizes(profile, shape(256, (8, 8))) for profile in ("probe", "paper"))
    assert probe.encoder_width * probe.encoder_depth * 10 < paper.encoder_width * paper.encoder_depth
