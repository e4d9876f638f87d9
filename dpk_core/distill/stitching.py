"""Taking tokens from their positions and putting them back. B pictures, K of N tokens, D channels.

Rows are fetched by one index over all pictures, which is several times as fast as `gather`; and as a split is a
permutation, a gradient goes back by the inverse one, where torch would add up, slower and on a GPU in any order.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dpk_core.distill.masking import TokenSplit


def take_given(tokens_BND: Tensor, split: TokenSplit) -> Tensor:
    """The tokens at M, BxKxD."""
    return _take(tokens_BND, split.order_BN, split.restore_BN, slice(0, split.given))


def take_kept(tokens_BND: Tensor, split: TokenSplit) -> Tensor:
    """The tokens at ~M, Bx(N-K)xD."""
    return _take(tokens_BND, split.order_BN, split.restore_BN, slice(split.given, None))


def stitch(teacher_BKD: Tensor, student_BN_KD: Tensor, split: TokenSplit) -> Tensor:
    """The hybrid sequence BxNxD: the teacher's tokens at M, the student's at ~M, each at its true position."""
    return _take(torch.cat((teacher_BKD, student_BN_KD), dim=1), split.restore_BN, split.order_BN, slice(None))


def _take(tokens_BND: Tensor, order_BN: Tensor, inverse_BN: Tensor, part: slice) -> Tensor:
    taken_BKD: Tensor = _Take.apply(tokens_BND, order_BN, inverse_BN, part)
    return taken_BKD


class _Take(torch.autograd.Function):
    """`part` of the tokens in the order of a permutation."""

    @staticmethod
    def forward(ctx: Any, tokens_BND: Tensor, order_BN: Tensor, inverse_BN: Tensor, part: slice) -> Tensor:
        ctx.save_for_backward(inverse_BN)
        ctx.part = part
        return _rows(tokens_BND, order_BN[:, part])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_BKD: Tensor) -> tuple[Tensor, None, None, None]:
        (inverse_BN,) = ctx.saved_tensors
        ordered_BND = gradient_BKD.new_zeros(*inverse_BN.shape, gradient_BKD.shape[2])
        ordered_BND[:, ctx.part] = gradient_BKD
        return _rows(ordered_BND, inverse_BN), None, None, None


def _rows(tokens_BND: Tensor, positions_BK: Tensor) -> Tensor:
    """The tokens at each picture's own positions, BxKxD."""
    B, N, D = tokens_BND.shape
    first_B1 = torch.arange(0, B * N, N, device=tokens_BND.device)[:, None]
    rows_RD = tokens_BND.reshape(B * N, D).index_select(0, (first_B1 + positions_BK).flatten())
    return rows_RD.view(B, positions_BK.shape[1], D)
