"""Pictures that are decoded when they are wanted, by threads: Pillow lets go of the interpreter while it works.

Nothing here depends on how many threads there are or which is first: a picture is a function of its bytes and its draw.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dpk_core.catalogue.reading import ReadingRule
from dpk_core.data.crops import Draws
from dpk_core.data.decode import decode
from dpk_core.data.encoded import Encoded
from dpk_core.data.split import Reading, Split
from dpk_core.data.to_device import to_device

MOST_THREADS = 16
AT_ONCE = 4096
"""Things that wait for a thread at the same time."""

T = TypeVar("T")
Picture = NDArray[np.uint8]
"""One picture (C x H x W)."""


@dataclass(frozen=True, slots=True)
class StreamedSplit:
    """Pictures `members` of `encoded`, decoded as `rule` says; `labels` (B) are on the device."""

    encoded: Encoded
    members: NDArray[np.int64]
    labels: Tensor
    rule: ReadingRule

    def __len__(self) -> int:
        return len(self.labels)

    def targets(self, positions_B: Tensor) -> Tensor:
        """The labels of these pictures."""
        return self.labels[to_device(positions_B, self.labels.device)]

    def start_reading(self, positions_B: Tensor, crops_BA4: Draws | None = None) -> Reading:
        """See `PictureSplit`. Random crops are cut from the whole pictures."""
        members = self.members[positions_B.numpy()].tolist()
        crops: Sequence[Draws | None] = [None] * len(members) if crops_BA4 is None else list(crops_BA4)
        decoding = [threads().submit(self._decode, member, crop) for member, crop in zip(members, crops, strict=True)]
        return together(decoding, self.labels.device)

    def decoded(self) -> Split:
        """The same pictures in memory on the device. Raises DataFault naming the first broken one."""
        channels, side = self.rule.channels, self.rule.side
        pictures_BCHW = torch.empty((len(self), channels, side, side), dtype=torch.uint8)
        for positions_B in torch.split(torch.arange(len(self)), 256):
            pictures_BCHW[positions_B] = self.start_reading(positions_B)().cpu()
        return Split(pictures_BCHW.to(self.labels.device), self.labels)

    def _decode(self, member: int, crop_A4: Draws | None) -> NDArray[np.uint8]:
        name, content = self.encoded.read(member)
        return decode(name, content, self.rule, crop_A4)


def together(decoding: Sequence[Future[Picture]], device: torch.device) -> Reading:
    """Waits for the pictures of a batch and takes them to the device; where one is broken, the others are given up."""

    def wait() -> Tensor:
        try:
            pictures_BCHW = torch.from_numpy(np.stack([future.result() for future in decoding]))
        finally:
            for future in decoding:
                future.cancel()
        return to_device(pictures_BCHW, device)

    return wait


def each_on_threads(look: Callable[[T], object], things: Sequence[T]) -> None:
    """Looks at each of many things on the threads. Raises what the first look that fails raises."""
    # In parts, as every one that waits takes memory.
    for start in range(0, len(things), AT_ONCE):
        for _ in threads().map(look, things[start : start + AT_ONCE]):
            pass


@functools.cache
def threads() -> ThreadPoolExecutor:
    """This process's threads for reading pictures: one a core, at most `MOST_THREADS`."""
    return ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1), thread_name_prefix="pictures")
