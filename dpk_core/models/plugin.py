"""Builds the model of an installed plug-in. Without the model libraries, so that a measuring process starts quickly."""

from __future__ import annotations

from torch import nn

from dpk_core.catalogue.plugins import FAMILY, entry_point
from dpk_core.errors import InvalidRequest


def build_plugin(member: str, classes: int, channels: int, side: int | None) -> nn.Module:
    """Calls what the entry point names; the operator installed it."""
    name = f"{FAMILY}/{member}"
    found = entry_point(name)
    if found is None:
        raise InvalidRequest("model", f"The plug-in {name} is not installed here.")
    if side is None:
        raise ValueError(f"{name} is built for pictures of one size; name it")
    model = found.load()(classes=classes, channels=channels, side=side)
    if not isinstance(model, nn.Module):
        raise TypeError(f"{found.value} gave {type(model).__name__}, not a torch.nn.Module")
    return model
