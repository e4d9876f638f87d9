"""Softmax attention for narrow heads on the CPU: the mathematics of torch's kernel in a third to a half of its time
where a head has few channels (decision 10).

Legend: B pictures, N tokens, h heads, d channels of a head. A chunk of pictures has G heads in all; R = d or d + 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

WIDEST_HEAD = 15
"""With more channels torch's own kernel is the faster one."""

CHUNK = 2**20
"""Attention weights that are worked on at a time for each thread: 4 MiB, which the cache still holds."""

LOG2_E = 1 / math.log(2)


def is_narrow(qkv_BN3hd: Tensor) -> bool:
    """Whether `attend` is the faster way."""
    return qkv_BN3hd.device.type == "cpu" and qkv_BN3hd.dtype == torch.float32 and qkv_BN3hd.shape[-1] <= WIDEST_HEAD


def attend(qkv_BN3hd: Tensor) -> Tensor:
    """softmax(q kᵀ / √d) v for every picture and head, BxNxhxd, from queries, keys and values beside each other.

    Can be differentiated once. Needs a token.
    """
    attended_BNhd: Tensor = _Attend.apply(qkv_BN3hd)
    return attended_BNhd


class _Attend(torch.autograd.Function):
    """Goes through the pictures chunk by chunk, so that attention weights stay in the cache; none is kept for the
    backward pass, which computes them again.

    Tokens come last, which narrow matrix products like. A row more in a factor saves a pass over all weights: ones
    below the values sum up a query's weights, and what lies below the queries is subtracted from all their products.
    Weights are powers of 2, as `exp2` is several times as fast as `exp` on the CPU.
    """

    @staticmethod
    def forward(ctx: Any, qkv_BN3hd: Tensor) -> Tensor:
        B, N, _, h, d = qkv_BN3hd.shape
        attended_BNhd, log_sums_BhN = qkv_BN3hd.new_empty(B, N, h, d), qkv_BN3hd.new_empty(B, h, N)
        for chunk, (weights_GNN,) in _chunks(qkv_BN3hd, buffers=1):
            q_BNhd, k_BNhd, v_BNhd = qkv_BN3hd[chunk].unbind(2)
            q_GRN = _tokens_last(q_BNhd, LOG2_E / math.sqrt(d))
            k_GRN, v_GRN = _tokens_last(k_BNhd), _tokens_last(v_BNhd, below=1)
            torch.bmm(q_GRN.transpose(1, 2), k_GRN, out=weights_GNN)
            most_GN1 = weights_GNN.amax(2, keepdim=True)
            torch.exp2(weights_GNN.sub_(most_GN1), out=weights_GNN)
            summed_GRN = v_GRN @ weights_GNN.transpose(1, 2)
            sums_GN = summed_GRN[:, d]
            attended_BNhd[chunk] = _tokens_first(summed_GRN[:, :d] / sums_GN[:, None], h)
            log_sums_BhN[chunk] = (sums_GN.log2() + most_GN1[:, :, 0]).view(-1, h, N)
        ctx.save_for_backward(qkv_BN3hd, attended_BNhd, log_sums_BhN)
        return attended_BNhd

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_BNhd: Tensor) -> Tensor:
        qkv_BN3hd, attended_BNhd, log_sums_BhN = ctx.saved_tensors
        h, d = qkv_BN3hd.shape[3:]
        gradient_BN3hd = torch.empty_like(qkv_BN3hd)
        # The derivative of the weights less their mean: Σ weight · derivative is gradient · attended.
        mean_BhN = (gradient_BNhd * attended_BNhd).sum(3).transpose(1, 2)
        for chunk, (weights_GNN, slopes_GNN) in _chunks(qkv_BN3hd, buffers=2):
            q_BNhd, k_BNhd, v_BNhd = qkv_BN3hd[chunk].unbind(2)
            q_GRN = _tokens_last(q_BNhd, LOG2_E / math.sqrt(d), below=-log_sums_BhN[chunk])
            k_GRN, v_GRN = _tokens_last(k_BNhd, below=1), _tokens_last(v_BNhd, below=1)
            g_GRN = _tokens_last(gradient_BNhd[chunk], below=-mean_BhN[chunk])
            torch.exp2(torch.bmm(q_GRN.transpose(1, 2), k_GRN, out=weights_GNN), out=weights_GNN)
            torch.bmm(g_GRN.transpose(1, 2), v_GRN, out=slopes_GNN).mul_(weights_GNN)
            q_gradient_GdN = (k_GRN[:, :d] @ slopes_GNN.transpose(1, 2)).div_(math.sqrt(d))
            k_gradient_GdN = (q_GRN[:, :d] @ slopes_GNN).div_(LOG2_E)
            v_gradient_GdN = g_GRN[:, :d] @ weights_GNN
            for place, found_GdN in enumerate((q_gradient_GdN, k_gradient_GdN, v_gradient_GdN)):
                gradient_BN3hd[chunk, :, place] = _tokens_first(found_GdN, h)
        return gradient_BN3hd


def _chunks(qkv_BN3hd: Tensor, *, buffers: int) -> Iterator[tuple[slice, Tensor]]:
    """Slices of the pictures, each with memory, used again for the next, for `buffers` times its attention weights."""
    B, N, _, h, _ = qkv_BN3hd.shape
    size = max(CHUNK * torch.get_num_threads() // (h * N * N), 1)
    memory = qkv_BN3hd.new_empty(buffers, min(size, B) * h, N, N)
    for start in range(0, B, size):
        yield slice(start, start + size), memory[:, : min(size, B - start) * h]


def _tokens_last(x_BNhd: Tensor, factor: float = 1.0, *, below: Tensor | float | None = None) -> Tensor:
    """`x_BNhd` times a factor, GxRxN; `below`, BxhxN or a number, is one more row."""
    B, N, h, d = x_BNhd.shape
    rows_BhRN = x_BNhd.new_empty(B, h, d if below is None else d + 1, N)
    torch.mul(x_BNhd.permute(0, 2, 3, 1), factor, out=rows_BhRN[:, :, :d])
    if below is not None:
        rows_BhRN[:, :, d] = below
    return rows_BhRN.flatten(0, 1)


def _tokens_first(x_GdN: Tensor, heads: int) -> Tensor:
    """BxNxhxd again."""
    _, d, N = x_GdN.shape
    return x_GdN.view(-1, heads, d, N).permute(0, 3, 1, 2)
