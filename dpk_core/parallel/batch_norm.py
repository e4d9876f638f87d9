"""Batch normalisation over the pictures of all ranks, on any device.

torch's SyncBatchNorm runs on GPUs only and replaces modules. Here every call of batch normalisation in training mode is
answered while a block is open, whoever's module makes it, and modules, weights and their names stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from dpk_core.parallel.world import World


@contextmanager
def shared_batch_norm(world: World) -> Iterator[None]:
    """Within the block, statistics of batches are those of all ranks' pictures; nothing changes where there is one."""
    if world.size == 1:
        yield
        return
    with _SharedStatistics(world):
        yield


class _SharedStatistics(TorchFunctionMode):
    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is F.batch_norm:
            return self._batch_norm(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _batch_norm(
        self,
        input: Tensor,  # noqa: A002  (torch's name)
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        """As torch's function of this name."""
        if not training:
            return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)
        mean_C, var_C, count = _statistics(input, self.world)
        if running_mean is not None and running_var is not None:
            running_mean.lerp_(mean_C.to(running_mean.dtype), momentum)
            running_var.lerp_((var_C * (count / (count - 1))).to(running_var.dtype), momentum)
        normal = _Normalised.apply(input, mean_C, (var_C + eps).rsqrt(), count)
        if weight is not None and bias is not None:
            normal = normal * _along(weight, input) + _along(bias, input)
        return normal.to(input.dtype)  # type: ignore[no-any-return]  # what torch leaves untyped


def _statistics(values: Tensor, world: World) -> tuple[Tensor, Tensor, int]:
    """Mean and biased variance of each channel over all ranks, and how many values a channel has there."""
    var_C, mean_C = torch.var_mean(values.detach().float(), _all_but_channels(values), correction=0)
    of_ranks_R2C = world.gathered(torch.stack((mean_C, var_C))[None])
    means_RC, vars_RC = of_ranks_R2C.unbind(1)
    mean_C = means_RC.mean(0)
    return mean_C, (vars_RC + (means_RC - mean_C).square()).mean(0), values.numel() // len(mean_C) * world.size


class _Normalised(torch.autograd.Function):
    """(x − mean) / deviation, where both depend on the x of all ranks."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, mean_C: Tensor, inverse_C: Tensor, count: int) -> Tensor:
        ctx.count = count
        ctx.save_for_backward(values, mean_C, inverse_C)
        return (values.float() - _along(mean_C, values)) * _along(inverse_C, values)

    @staticmethod
    def backward(ctx: Any, *asked: Tensor) -> tuple[Tensor, None, None, None]:
        values, mean_C, inverse_C = ctx.saved_tensors
        (gradient,) = asked
        normal = (values.float() - _along(mean_C, values)) * _along(inverse_C, values)
        axes = _all_but_channels(values)
        sums_2C = torch.stack((gradient.sum(axes), (gradient * normal).sum(axes)))
        dist.all_reduce(sums_2C)
        of_mean, of_deviation = (_along(sum_C / ctx.count, values) for sum_C in sums_2C)
        result = (gradient - of_mean - normal * of_deviation) * _along(inverse_C, values)
        return result.to(values.dtype), None, None, None


def _all_but_channels(values: Tensor) -> list[int]:
    return [axis for axis in range(values.ndim) if axis != 1]


def _along(channels_C: Tensor, values: Tensor) -> Tensor:
    """The channels' values in a shape that goes with `values`."""
    return channels_C.view(-1, *[1] * (values.ndim - 2))
