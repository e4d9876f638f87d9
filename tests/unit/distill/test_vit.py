"""Transformer parts: position table, patches, initialisation, biases."""

import math

import pytest
import torch

from dpk_core.distill.vit import (
    Attention,
    Block,
    PatchEmbedding,
    Transformer,
    from_patches,
    initialise,
    position_table,
    to_patches,
)


def test_position_table_is_the_sheet_s_formula() -> None:
    table = position_table(9, 10)
    for position in range(9):
        for channel in range(10):
            angle = position / 10000 ** (2 * (channel // 2) / 10)
            expected = math.sin(angle) if channel % 2 == 0 else math.cos(angle)
            assert table[position, channel].item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("patch", [1, 2, 3])
def test_patches_go_row_by_row_and_fold_back(patch: int) -> None:
    map_BCHW = torch.arange(2 * 3 * 6 * 12.0).view(2, 3, 6, 12)
    tokens = to_patches(map_BCHW, patch)
    columns = 12 // patch
    assert tokens.shape == (2, (6 // patch) * columns, 3 * patch**2)
    assert torch.equal(tokens[1, columns + 1], map_BCHW[1, :, patch : 2 * patch, patch : 2 * patch].flatten())
    assert torch.equal(from_patches(tokens, (6 // patch, columns), patch), map_BCHW)


def test_embedding_a_patch_is_a_convolution_of_kernel_and_stride_p() -> None:
    embedding = PatchEmbedding(3, 8, 2)
    x = torch.randn(2, 3, 4, 6, generator=torch.Generator().manual_seed(0))
    weight = embedding.linear.weight.view(8, 3, 2, 2)
    expected = torch.nn.functional.conv2d(x, weight, embedding.linear.bias, stride=2).flatten(2).transpose(1, 2)
    torch.testing.assert_close(embedding(x), expected)


def test_keys_have_no_bias_and_a_block_has_its_count() -> None:
    D = 16
    assert sum(p.numel() for p in Attention(D, 4).parameters()) == 4 * D * D + 3 * D
    assert sum(p.numel() for p in Block(D, 4).parameters()) == 12 * D * D + 12 * D


def test_attention_is_softmax_attention_per_head() -> None:
    attention = Attention(8, 2)
    torch.nn.init.normal_(attention.query_bias, generator=torch.Generator().manual_seed(1))
    torch.nn.init.normal_(attention.value_bias, generator=torch.Generator().manual_seed(2))
    x = torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(3))
    wq, wk, wv = attention.qkv.weight.chunk(3)
    q, k, v = x @ wq.T + attention.query_bias, x @ wk.T, x @ wv.T + attention.value_bias
    heads = []
    for h in (slice(0, 4), slice(4, 8)):
        scores = (q[..., h] @ k[..., h].transpose(1, 2) / 2.0).softmax(dim=-1)
        heads.append(scores @ v[..., h])
    expected = attention.out(torch.cat(heads, dim=-1))
    torch.testing.assert_close(attention(x), expected)


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValueError, match="10 cannot be split into 4 heads"):
        Attention(10, 4)


def test_no_token_gives_no_token() -> None:
    assert Transformer(8, 1, 2)(torch.zeros(3, 0, 8)).shape == (3, 0, 8)


def test_initialisation_is_xavier_with_zero_biases() -> None:
    transformer = Transformer(64, 2, 4).apply(initialise)
    for block in transformer.blocks:
        linear = block.mlp[0]
        bound = math.sqrt(6 / (64 + 256))
        assert linear.weight.abs().max().item() <= bound
        assert linear.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05)
        assert not linear.bias.any()
        assert not block.attention.query_bias.any()
