"""The CPU's attention for narrow heads is softmax attention, forward and backward."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dpk_core.distill import narrow_attention, vit
from dpk_core.distill.narrow_attention import attend, is_narrow

SHAPES = [(5, 7, 3, 6), (3, 64, 8, 10), (2, 33, 2, 15), (4, 1, 2, 4), (1, 9, 1, 1)]
"""Pictures, tokens, heads, channels."""


def projections(shape: tuple[int, int, int, int], *, scale: float = 1.0, dtype: torch.dtype = torch.float32) -> Tensor:
    B, N, h, d = shape
    drawn = torch.randn(B, N, 3, h, d, generator=torch.Generator().manual_seed(0), dtype=dtype)
    return (scale * drawn).requires_grad_()


def kernel(qkv_BN3hd: Tensor) -> Tensor:
    q, k, v = qkv_BN3hd.permute(2, 0, 3, 1, 4).unbind(0)
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2)


def gradient(attended_BNhd: Tensor, qkv_BN3hd: Tensor) -> Tensor:
    pulled = torch.randn(attended_BNhd.shape, generator=torch.Generator().manual_seed(1), dtype=attended_BNhd.dtype)
    return torch.autograd.grad(attended_BNhd, qkv_BN3hd, pulled)[0]


@pytest.fixture(params=[1, 200, 2**18], ids=["a picture at a time", "some at a time", "all at a time"])
def chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(narrow_attention, "CHUNK", request.param)


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize("shape", SHAPES)
def test_agrees_with_torch_s_kernel(shape: tuple[int, int, int, int]) -> None:
    qkv = projections(shape)
    ours, theirs = attend(qkv), kernel(qkv)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(gradient(ours, qkv), gradient(theirs, qkv), rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize("shape", SHAPES)
def test_is_exact_in_double_precision(shape: tuple[int, int, int, int]) -> None:
    qkv = projections(shape, dtype=torch.float64)
    ours, theirs = attend(qkv), kernel(qkv)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(gradient(ours, qkv), gradient(theirs, qkv), rtol=1e-11, atol=1e-12)


def test_its_gradient_is_that_of_its_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(narrow_attention, "CHUNK", 32)
    assert torch.autograd.gradcheck(attend, (projections((3, 4, 2, 3), dtype=torch.float64),))


def test_large_scores_neither_overflow_nor_lose_the_largest() -> None:
    qkv = projections((2, 16, 2, 8), scale=60.0)
    ours, theirs = attend(qkv), kernel(qkv)
    assert ours.isfinite().all()
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(gradient(ours, qkv), gradient(theirs, qkv), rtol=1e-2, atol=1e-2)


def test_a_second_derivative_is_refused() -> None:
    qkv = projections((1, 3, 1, 2))
    first = torch.autograd.grad(attend(qkv).square().sum(), qkv, create_graph=True)[0]
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


@pytest.mark.parametrize(("channels", "dtype", "narrow"), [
    (15, torch.float32, True), (16, torch.float32, False), (8, torch.bfloat16, False), (8, torch.float64, False),
])  # fmt: skip
def test_only_narrow_heads_in_float32_take_this_way(channels: int, dtype: torch.dtype, narrow: bool) -> None:
    qkv = projections((1, 5, 2, channels), dtype=dtype)
    assert is_narrow(qkv) is narrow
    assert (type(vit.attend(qkv).grad_fn).__name__ == "_AttendBackward") is narrow
