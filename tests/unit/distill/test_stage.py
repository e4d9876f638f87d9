"""One stage of DPK: sizes of a faithful build, who sees what, and the feature loss."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dpk_core.distill.profiles import PAPER_PAIRS
from dpk_core.distill.stage import PriorStage, StageSizes
from dpk_core.distill.vit import position_table

SMALL = StageSizes(
    encoder_width=8, encoder_depth=1, encoder_heads=2, decoder_width=12, decoder_depth=1, decoder_heads=2, patch=1
)


def randn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def rand(seed: int, *shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def stage() -> PriorStage:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return PriorStage(3, 5, (4, 4), SMALL)


@pytest.mark.parametrize(
    ("pair", "index", "channels", "side", "count"),
    [
        (("torchvision/resnet34", "torchvision/resnet18"), 0, 512, 7, 51_483_136),
        (("torchvision/resnet34", "torchvision/resnet18"), 1, 256, 14, 12_896_512),
        (("cifar/resnet56", "cifar/resnet20"), 0, 64, 8, 2_721_504),
        (("cifar/resnet56", "cifar/resnet20"), 1, 32, 16, 777_600),
    ],
)
def test_a_faithful_build_has_the_authors_parameters(
    pair: tuple[str, str], index: int, channels: int, side: int, count: int
) -> None:
    with torch.device("meta"):
        stage = PriorStage(channels, channels, (side, side), PAPER_PAIRS[pair][index])
    assert sum(p.numel() for p in stage.parameters() if p.requires_grad) == count


def test_patches_must_tile_the_map() -> None:
    with pytest.raises(ValueError, match="2x2 do not tile a map of 4x5"):
        PriorStage(3, 3, (4, 5), replace(SMALL, patch=2))


@settings(max_examples=25, deadline=None)
@given(given_tokens=st.integers(0, 16), seed=st.integers(0, 2**31))
def test_each_encoder_sees_only_its_own_side_of_the_mask(given_tokens: int, seed: int) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        stage = PriorStage(3, 5, (4, 4), SMALL).eval()
    student, teacher = randn(seed, 2, 3, 4, 4), randn(seed + 1, 2, 5, 4, 4)
    noise = rand(seed + 2, 2, 16)
    first = stage(student, teacher, noise, given_tokens)
    mask = first.split.mask_BN.view(2, 1, 4, 4)
    # What the mask hides of either side is replaced: the hybrid sequence must not notice.
    other_student = torch.where(mask, randn(seed + 3, 2, 3, 4, 4), student)
    other_teacher = torch.where(mask, teacher, randn(seed + 4, 2, 5, 4, 4))
    again = stage(other_student, other_teacher, noise, given_tokens)
    assert torch.equal(first.hybrid_BNE, again.hybrid_BNE)
    assert torch.equal(first.rebuilt_BCHW, again.rebuilt_BCHW)
    assert mask.sum().item() == 2 * given_tokens


def test_hybrid_holds_projected_tokens_at_their_true_positions(stage: PriorStage) -> None:
    stage.student_encoder = nn.Identity()  # type: ignore[assignment]  # identity encoders make the tokens recognisable
    stage.teacher_encoder = nn.Identity()  # type: ignore[assignment]  # the same
    student, teacher, noise = randn(1, 2, 3, 4, 4), randn(2, 2, 5, 4, 4), rand(3, 2, 16)
    done = stage(student, teacher, noise, 6)
    student_BND, teacher_BND = stage.embed(student, teacher)
    expected = torch.where(done.split.mask_BN[:, :, None], stage.to_decoder(teacher_BND), stage.to_decoder(student_BND))
    torch.testing.assert_close(done.hybrid_BNE, expected + stage.decoder_positions_NE)


@pytest.mark.parametrize("count", [0, 1, 15, 16])
def test_loss_is_the_error_over_all_positions_on_raw_features(stage: PriorStage, count: int) -> None:
    student, teacher = randn(1, 2, 3, 4, 4), 50 * randn(2, 2, 5, 4, 4)
    done = stage(student, teacher, rand(3, 2, 16), count)
    assert done.rebuilt_BCHW.shape == teacher.shape
    assert done.loss.item() == pytest.approx(((done.rebuilt_BCHW - teacher) ** 2).mean().item(), rel=1e-5)
    done.loss.backward()
    untouched = {name.partition(".")[0] for name, p in stage.named_parameters() if p.grad is None}
    # A side that gives no token is not trained in that step; its embedding takes part, but gathers nothing.
    assert untouched == {0: {"teacher_encoder"}, 16: {"student_encoder"}}.get(count, set())


def test_a_stage_can_learn_to_rebuild_the_teacher(stage: PriorStage) -> None:
    student, teacher = randn(1, 4, 3, 4, 4), randn(2, 4, 5, 4, 4)
    optimizer = torch.optim.Adam(stage.parameters(), lr=3e-3)
    losses = []
    for step in range(60):
        loss = stage(student, teacher, rand(step, 4, 16), 8).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


def test_position_tables_are_fixed_and_not_part_of_a_checkpoint(stage: PriorStage) -> None:
    assert not any("positions" in name for name in stage.state_dict())
    assert not any("positions" in name for name, _ in stage.named_parameters())
    assert all(not torch.equal(a, b) for a, b in pairwise(stage.decoder_positions_NE))


def test_embeddings_and_the_way_to_the_decoder_keep_torch_s_initialisation() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        stage = PriorStage(64, 64, (4, 4), replace(SMALL, encoder_width=64, decoder_width=64))
    linears = (stage.student_embedding.linear, stage.teacher_embedding.linear, stage.to_decoder)
    for linear in linears:  # uniform up to 1/sqrt(inputs); xavier would go up to sqrt(6 / 128)
        assert linear.weight.std().item() == pytest.approx((64 * 3) ** -0.5, rel=0.05)
    assert stage.student_embedding.linear.bias.any()
    assert stage.to_map.weight.std().item() == pytest.approx((2 / 128) ** 0.5, rel=0.05)
    assert not stage.to_map.bias.any()


def test_both_sides_tokens_carry_their_positions(stage: PriorStage) -> None:
    student, teacher = torch.zeros(2, 3, 4, 4), torch.zeros(2, 5, 4, 4)
    embeddings = (stage.student_embedding, stage.teacher_embedding)
    for tokens_BND, embedding in zip(stage.embed(student, teacher), embeddings, strict=True):
        torch.testing.assert_close(tokens_BND, (position_table(16, 8) + embedding.linear.bias).expand(2, -1, -1))
