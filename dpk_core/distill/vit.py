"""Transformer parts of DPK's modules (method sheet, section 3). B pictures, N tokens, D channels, h heads."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dpk_core.distill import narrow_attention

NORM_EPS = 1e-6


class Attention(nn.Module):
    """Multi-head self-attention with a bias on queries and values, none on keys."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} cannot be split into {heads} heads")
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.query_bias = nn.Parameter(torch.zeros(width))
        self.value_bias = nn.Parameter(torch.zeros(width))
        self.out = nn.Linear(width, width)

    def forward(self, x_BND: Tensor) -> Tensor:
        """Attended tokens BxNxD."""
        B, N, D = x_BND.shape
        bias = torch.cat((self.query_bias, torch.zeros_like(self.query_bias), self.value_bias))
        qkv_BN3hd = F.linear(x_BND, self.qkv.weight, bias).view(B, N, 3, self.heads, D // self.heads)
        out_BND: Tensor = self.out(attend(qkv_BN3hd).reshape(B, N, D))
        return out_BND


def attend(qkv_BN3hd: Tensor) -> Tensor:
    """softmax(q kᵀ / √d) v for every picture and head, BxNxhxd, by the faster way."""
    if narrow_attention.is_narrow(qkv_BN3hd):
        return narrow_attention.attend(qkv_BN3hd)
    q_BhNd, k_BhNd, v_BhNd = qkv_BN3hd.permute(2, 0, 3, 1, 4).unbind(0)
    return F.scaled_dot_product_attention(q_BhNd, k_BhNd, v_BhNd).transpose(1, 2)


class Block(nn.Module):
    """Pre-norm transformer block with a GELU MLP of four times the width."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=NORM_EPS)
        self.attention = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=NORM_EPS)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x_BND: Tensor) -> Tensor:
        """Tokens BxNxD."""
        x_BND = x_BND + self.attention(self.norm1(x_BND))
        hidden_BND: Tensor = self.mlp(self.norm2(x_BND))
        return x_BND + hidden_BND


class Transformer(nn.Module):
    """`depth` blocks and a last LayerNorm."""

    def __init__(self, width: int, depth: int, heads: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, eps=NORM_EPS)

    def forward(self, x_BND: Tensor) -> Tensor:
        """Tokens BxNxD; with no token there is nothing to do, which attention kernels need not accept."""
        if x_BND.shape[1] == 0:
            return x_BND
        out_BND: Tensor = self.norm(self.blocks(x_BND))
        return out_BND


class PatchEmbedding(nn.Module):
    """A convolution of kernel and stride p, written as a linear layer on patches: one token a patch, row by row."""

    def __init__(self, channels: int, width: int, patch: int) -> None:
        super().__init__()
        self.patch = patch
        self.linear = nn.Linear(channels * patch**2, width)

    def forward(self, map_BCHW: Tensor) -> Tensor:
        """Tokens BxNxD."""
        tokens_BND: Tensor = self.linear(to_patches(map_BCHW, self.patch))
        return tokens_BND


def to_patches(map_BCHW: Tensor, patch: int) -> Tensor:
    """Cuts a map into N patches of P = C·p·p values each, row by row: BxNxP."""
    B, C, H, W = map_BCHW.shape
    patches = map_BCHW.reshape(B, C, H // patch, patch, W // patch, patch)
    return patches.permute(0, 2, 4, 1, 3, 5).reshape(B, -1, C * patch**2)


def from_patches(tokens_BNP: Tensor, grid: tuple[int, int], patch: int) -> Tensor:
    """Undoes `to_patches` for a map of `grid` patches (rows, columns): BxCxHxW."""
    (rows, columns), B = grid, tokens_BNP.shape[0]
    patches = tokens_BNP.view(B, rows, columns, -1, patch, patch)
    return patches.permute(0, 3, 1, 4, 2, 5).reshape(B, -1, rows * patch, columns * patch)


def position_table(tokens: int, width: int) -> Tensor:
    """Fixed sinusoids NxD: sin on even, cos on odd channels j of `position / 10000^(2·⌊j/2⌋/D)`."""
    positions_N = torch.arange(tokens, dtype=torch.float64)
    channels_D = torch.arange(width)
    angles_ND = positions_N[:, None] / 10000 ** (2 * (channels_D // 2).double() / width)
    return torch.where(channels_D % 2 == 0, angles_ND.sin(), angles_ND.cos()).float()


def initialise(module: nn.Module) -> None:
    """Xavier-uniform weights and zero biases, for linear layers."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
