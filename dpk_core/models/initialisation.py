"""How first weights are drawn: from a seed of their own, and by the CIFAR families' rule."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def own_randomness(seed: int) -> Iterator[None]:
    """Seeds the CPU generator for the block and puts its state back afterwards; no other device is touched."""
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed would move every CUDA generator too.
        torch.default_generator.manual_seed(seed)
        yield


def initialise_convolution(module: nn.Module) -> None:
    """He et al.'s normal initialisation (1502.01852) by outputs; whatever is no convolution keeps PyTorch's default."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
