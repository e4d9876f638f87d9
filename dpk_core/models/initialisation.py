"""How the CIFAR families draw their first weights."""

from torch import nn


def initialise_convolution(module: nn.Module) -> None:
    """He et al.'s normal initialisation (1502.01852) by outputs; whatever is no convolution keeps PyTorch's default."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
