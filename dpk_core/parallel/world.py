"""The processes that carry out one training together. Each has an equal share of every batch; together they compute
what one process would compute on the whole of it.

The rule of gradients: each rank goes backward from its own loss, `gathered` adds up what the ranks ask of a value, and
`average_gradients` divides by their number. So a mean over pictures may be taken over a rank's own pictures, and what
relates pictures to each other is taken over gathered ones, by every rank alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """This process's place, `rank`, among the `size` processes of torch's default process group, which its owner opens
    and closes. With one process nothing is sent and every value comes back as it is."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the one rank that writes files and speaks for all."""
        return self.rank == 0

    def own(self, whole_B: Tensor) -> Tensor:
        """This rank's share of the rows of what every rank holds whole; the rows must divide evenly."""
        assert len(whole_B) % self.size == 0, (len(whole_B), self.size)
        return whole_B if self.size == 1 else whole_B.chunk(self.size)[self.rank]

    def gathered(self, own_B: Tensor) -> Tensor:
        """The rows of all ranks in their order; the gradient of a row is the sum of what all ranks ask of it."""
        if self.size == 1:
            return own_B
        whole_B: Tensor = _Gathered.apply(own_B, self.rank, self.size)
        return whole_B

    def gather_all(self, *own_B: Tensor) -> list[Tensor]:
        """Each of them gathered."""
        return [self.gathered(values_B) for values_B in own_B]

    def mean(self, value: Tensor) -> Tensor:
        """The mean of the ranks' values, without gradient."""
        return value if self.size == 1 else self.total(value) / self.size

    def total(self, value: Tensor) -> Tensor:
        """The sum of the ranks' values, without gradient."""
        if self.size == 1:
            return value
        summed = value.detach().clone(memory_format=torch.contiguous_format)
        dist.all_reduce(summed)
        return summed

    def means(self, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """The means of named 0-dim values in float64, in one message."""
        if self.size == 1:
            return values
        return dict(zip(values, self.mean(torch.stack([value.double() for value in values.values()])), strict=True))

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Puts the mean over the ranks into every gradient there is; the same ones must be there on every rank."""
        self.average([parameter.grad for parameter in parameters if parameter.grad is not None])

    def average(self, values: Sequence[Tensor]) -> None:
        """Puts the mean over the ranks into each of the tensors, which have the same shapes on every rank."""
        if self.size == 1:
            return
        mean = self.mean(torch.cat([value.flatten() for value in values]))
        for value, piece in zip(values, torch.split(mean, [value.numel() for value in values]), strict=True):
            value.copy_(piece.view(value.shape))

    def any_of(self, wish: bool) -> bool:
        """Whether any rank says yes. Goes by the host: no device is waited for."""
        return bool(self.total(torch.tensor(int(wish))).item())


ALONE = World()
"""One process that does all."""


class _Gathered(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, own_B: Tensor, rank: int, size: int) -> Tensor:
        ctx.rank, ctx.size = rank, size
        own_B = own_B.contiguous()
        rows = [torch.empty_like(own_B) for _ in range(size)]
        dist.all_gather(rows, own_B)
        return torch.cat(rows)

    @staticmethod
    def backward(ctx: Any, *asked: Tensor) -> tuple[Tensor, None, None]:
        summed_B = asked[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(summed_B)
        return summed_B.chunk(ctx.size)[ctx.rank], None, None
