"""FGD's masks, attention and losses (Yang et al. 2022), by hand."""

from __future__ import annotations

import pytest
import torch

from dpk_core.data.boxes import NO_BOX, BoxTargets
from dpk_core.detection_settings import Canvas
from dpk_core.distill.fgd import WEIGHTS, FgdWeights, GlobalContext, attention, focal_loss, focal_masks, relation_loss

CANVAS = Canvas(height=32, width=64)


def targets() -> BoxTargets:
    """Two boxes that overlap, and a crowd; in the second picture none."""
    return BoxTargets(
        boxes_BM4=torch.tensor([[[0.0, 0, 33, 16], [8, 8, 16, 16], [40, 0, 64, 32]], [[0.0] * 4] * 3]),
        labels_BM=torch.tensor([[0, 1, 0], [NO_BOX] * 3]), crowd_BM=torch.tensor([[False, False, True], [False] * 3]),
    )  # fmt: skip


def test_masks() -> None:
    """Cells of 8 px: the first box touches 5 x 2 of them, the second is one of these."""
    foreground, background = focal_masks(targets(), CANVAS, (4, 8))
    expected = torch.zeros(4, 8)
    expected[:2, :5] = 1 / 10
    expected[1, 1] = 1.0
    assert torch.allclose(foreground[0], expected)
    assert torch.allclose(background[0], (expected == 0) / 22)
    assert torch.equal(foreground[1], torch.zeros(4, 8))
    assert torch.allclose(background[1], torch.full((4, 8), 1 / 32))


def test_attention_has_mean_one_and_follows_size() -> None:
    maps = torch.ones(2, 3, 4, 8)
    maps[:, :, 1, 2] = -9
    maps[:, 1] *= 2
    where, channels = attention(maps)
    assert where.mean((1, 2)).tolist() == pytest.approx([1, 1])
    assert channels.mean(1).tolist() == pytest.approx([1, 1])
    assert where[0].argmax() == 8 + 2
    assert channels.argmax(1).tolist() == [1, 1]


def test_losses() -> None:
    generator = torch.Generator().manual_seed(0)
    theirs, ours = torch.rand(2, 2, 3, 4, 8, generator=generator)
    masks = focal_masks(targets(), CANVAS, (4, 8))
    assert focal_loss(theirs, theirs, *masks, WEIGHTS["fasterrcnn"]).item() == 0
    assert relation_loss(theirs, theirs).item() == 0
    only_boxes = FgdWeights(boxes=1.0, background=0.0, attention=0.0, relations=0.0)
    where, channels = attention(theirs)
    by_hand = sum(
        masks[0][b, y, x] * where[b, y, x] * channels[b, c] * (theirs - ours)[b, c, y, x] ** 2
        for b in range(2) for c in range(3) for y in range(4) for x in range(8)
    )  # fmt: skip
    assert focal_loss(ours, theirs, *masks, only_boxes).item() == pytest.approx(float(by_hand) / 2, rel=1e-5)
    only_attention = FgdWeights(boxes=0.0, background=0.0, attention=1.0, relations=0.0)
    our_where, our_channels = attention(ours)
    apart = (where - our_where).abs().sum() + (channels - our_channels).abs().sum()
    assert focal_loss(ours, theirs, *masks, only_attention).item() == pytest.approx(apart.item() / 2, rel=1e-5)


def test_a_context_begins_as_the_map_itself() -> None:
    maps = torch.randn(2, 6, 4, 4)
    assert torch.equal(GlobalContext(6)(maps), maps)
