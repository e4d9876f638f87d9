"""Sizes by profile: always buildable, the authors' where they gave them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dpk_core.catalogue.models import model_card
from dpk_core.distill.profiles import PAPER_PAIRS, STAGES, StageShape, stage_sizes
from dpk_core.distill.stage import PriorStage, StageSizes
from dpk_core.dpk_settings import StageName
from dpk_core.spec import ProfileName


def shape(
    channels: int, side: tuple[int, int], stage: StageName = "last", pair: tuple[str, str] = ("a/a", "b/b")
) -> StageShape:
    return StageShape(stage=stage, teacher=pair[0], student=pair[1], teacher_channels=channels, side=side)


@given(
    profile=st.sampled_from(["probe", "paper"]), channels=st.integers(8, 4096),
    side=st.tuples(st.integers(2, 64), st.integers(2, 64)), stage=st.sampled_from(STAGES),
)  # fmt: skip
def test_patches_tile_every_map_and_heads_divide_the_width(
    profile: ProfileName, channels: int, side: tuple[int, int], stage: StageName
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


# Method sheet, section 6, read off again: teacher, student; then for the last and the second-last stage encoder width,
# depth and heads, decoder width, depth and heads; then what these come to on the pair's CIFAR maps: trainable numbers.
PAPER_TABLE = [
    ("resnet56", "resnet20", (128, 6, 8, 80, 4, 8), (64, 6, 8, 48, 6, 8), (2_721_504, 777_600)),
    ("resnet110", "resnet32", (128, 6, 8, 128, 4, 8), (128, 6, 8, 64, 6, 8), (3_212_352, 2_696_608)),
    ("resnet32x4", "resnet8x4", (180, 6, 4, 256, 4, 8), (160, 6, 4, 128, 4, 8), (8_055_160, 4_581_184)),
    ("wrn_40_2", "wrn_16_2", (256, 6, 8, 256, 4, 8), (128, 6, 8, 128, 4, 8), (12_798_080, 3_212_352)),
    ("vgg13", "vgg8", (320, 6, 8, 512, 4, 8), (160, 6, 8, 256, 6, 8), (28_156_288, 8_636_608)),
    ("resnet32x4", "shufflenetv1", (512, 6, 8, 256, 4, 8), (256, 6, 8, 128, 4, 8), (41_803_520, 10_473_344)),
]


def trainable(sizes: StageSizes, student_channels: int, teacher_channels: int) -> int:
    """Parameters of a stage by arithmetic: no bias on keys, an end norm each, one bias-free projection."""

    def transformer(width: int, depth: int) -> int:
        attention = 3 * width**2 + 2 * width + width**2 + width
        mlp = 2 * 4 * width**2 + 4 * width + width
        return depth * (2 * 2 * width + attention + mlp) + 2 * width

    D, E, patch = sizes.encoder_width, sizes.decoder_width, sizes.patch**2
    embeddings = (student_channels + teacher_channels) * patch * D + 2 * D
    encoders = 2 * transformer(D, sizes.encoder_depth)
    decoder = D * E + transformer(E, sizes.decoder_depth) + E * teacher_channels * patch + teacher_channels * patch
    return embeddings + encoders + decoder


@pytest.mark.parametrize(("teacher", "student", "last", "second_last", "counts"), PAPER_TABLE)
def test_every_cifar_pair_of_the_paper_has_its_sizes_and_parameters(
    teacher: str, student: str, last: tuple[int, ...], second_last: tuple[int, ...], counts: tuple[int, int]
) -> None:
    pair = (f"cifar/{teacher}", f"cifar/{student}")
    taps = [model_card(name, "model").taps[::-1] for name in pair]
    for index, (stage, wanted) in enumerate((("last", last), ("second_last", second_last))):
        theirs, ours = taps[0][index], taps[1][index]
        side = (theirs.side(32), theirs.side(32))
        sizes = stage_sizes("paper", shape(theirs.channels, side, STAGES[index], pair))
        assert STAGES[index] == stage
        assert (
            sizes.encoder_width, sizes.encoder_depth, sizes.encoder_heads,
            sizes.decoder_width, sizes.decoder_depth, sizes.decoder_heads, sizes.patch,
        ) == (*wanted, 1)  # fmt: skip
        assert trainable(sizes, ours.channels, theirs.channels) == counts[index]
        with torch.device("meta"):
            module = PriorStage(ours.channels, theirs.channels, side, sizes)
        assert sum(p.numel() for p in module.parameters()) == counts[index]


def test_the_arithmetic_gives_the_authors_checksums_for_imagenet() -> None:
    sizes = PAPER_PAIRS["torchvision/resnet34", "torchvision/resnet18"]
    assert [trainable(s, c, c) for s, c in zip(sizes, (512, 256), strict=True)] == [51_483_136, 12_896_512]
    deep = PAPER_PAIRS["torchvision/resnet152", "torchvision/resnet18"]
    total = sum(trainable(s, ours, theirs) for s, ours, theirs in zip(deep, (512, 256), (2048, 1024), strict=True))
    # The sheet says "about 204M" of these sizes; the two stages of its own formulas come to this.
    assert total == 225_839_616


def test_every_listed_pair_is_tested() -> None:
    listed = {(f"cifar/{teacher}", f"cifar/{student}") for teacher, student, *_ in PAPER_TABLE}
    assert listed == {pair for pair in PAPER_PAIRS if pair[0].startswith("cifar/")}


def test_a_stage_beyond_the_paper_s_two_takes_the_general_rule() -> None:
    pair = ("cifar/resnet56", "cifar/resnet20")
    listed, unlisted = (stage_sizes("paper", shape(16, (32, 32), "third_last", names)) for names in (pair, ("a", "b")))
    assert listed == unlisted
