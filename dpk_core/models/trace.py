"""Finds out by one run which modules of a model give feature maps. H, W: picture size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypedDict

import torch
from torch import Tensor, nn

TapEntry = tuple[str, int, int]
"""Module, channels, stride."""


NO_FEATURES = (nn.Conv2d, nn.Dropout, nn.Dropout2d)
"""A bare convolution (a patch embedding, say) is not yet a feature; dropout would make a student's map noisy."""


class Entry(TypedDict, total=False):
    """One model in the file. `obstacle`: why it has no taps, as one clause."""

    taps: list[TapEntry]
    obstacle: str


class NoTaps(Exception):
    """The model runs, but has no feature maps that can be tapped; the text says why in one clause."""


def declared_taps(model: nn.Module, size: tuple[int, int], declared: Sequence[tuple[str, int]]) -> list[TapEntry]:
    """Of the declared features (module, channels), shallow to deep, those that are maps: the deepest per stride.

    Raises NoTaps where none is.
    """
    if not declared:
        raise NoTaps("the library declares no feature maps for it")
    modules = dict(model.named_modules())
    outputs = _run(model, size, [name for name, _ in declared if name in modules])
    if not outputs:
        raise NoTaps("the modules that the library declares are no part of its forward pass")
    maps = [(name, outputs[name]) for name, channels in declared if _is_map(outputs.get(name), size, channels)]
    if not maps:
        shapes = {output.ndim for output in outputs.values() if isinstance(output, Tensor)}
        raise NoTaps(
            "its features are token sequences" if shapes == {3}
            else "its feature maps have their channels last" if 4 in shapes
            else "its declared features are no maps"
        )  # fmt: skip
    return _deepest(maps, size)


def found_taps(model: nn.Module, size: tuple[int, int], classes: int) -> list[TapEntry]:
    """The deepest feature map per stride among the model's children and the members of its sequences.

    What follows global pooling is left out, and so are maps of class scores. Raises NoTaps where no map is left.
    """
    candidates = dict(_candidates(model))
    outputs = _run(model, size, list(candidates))
    maps = []
    for name, output in outputs.items():
        if isinstance(candidates[name], nn.AdaptiveAvgPool2d):
            break
        if _is_map(output, size, None) and output.shape[1] != classes:
            maps.append((name, output))
    if not maps:
        raise NoTaps("its features are no maps with channels first")
    return _deepest(maps, size)


def stride_of(picture: int, side: int) -> int:
    """The stride that makes a map of `side` from `picture`: the power of two that does it exactly, else the nearest."""
    exact = (2**n for n in range(picture.bit_length()) if side in (picture // 2**n, -(-picture // 2**n)))
    return next(exact, round(picture / side))


def _run(model: nn.Module, size: tuple[int, int], names: Sequence[str]) -> dict[str, Any]:
    """Outputs of the named modules in the order in which they ended, without those changed in place later on."""
    outputs: dict[str, Any] = {}
    versions: dict[str, int] = {}

    def keeper(name: str) -> Any:
        def keep(_: nn.Module, __: object, output: Any) -> None:
            outputs.pop(name, None)
            outputs[name] = output
            versions[name] = output._version if isinstance(output, Tensor) else 0

        return keep

    handles = [model.get_submodule(name).register_forward_hook(keeper(name)) for name in names]
    try:
        model(torch.empty(2, 3, *size, device="meta"))
    finally:
        for handle in handles:
            handle.remove()
    return {
        name: output
        for name, output in outputs.items()
        if not isinstance(output, Tensor) or output._version == versions[name]
    }


def _is_map(output: Any, size: tuple[int, int], channels: int | None) -> bool:
    """Whether `output` is BxCxHxW with more than one position and the picture's proportions."""
    if not isinstance(output, Tensor) or output.ndim != 4 or channels not in (None, output.shape[1]):
        return False
    height, width = output.shape[2:]
    return height * width > 1 and stride_of(size[0], height) == stride_of(size[1], width)


def _deepest(maps: Sequence[tuple[str, Tensor]], size: tuple[int, int]) -> list[TapEntry]:
    """One tap per stride, the last; from shallow to deep."""
    by_stride = {stride_of(size[0], output.shape[2]): (name, output.shape[1]) for name, output in maps}
    return [(name, channels, stride) for stride, (name, channels) in sorted(by_stride.items())]


def _candidates(model: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    for name, child in model.named_children():
        if not isinstance(child, NO_FEATURES):
            yield prefix + name, child
        if isinstance(child, nn.Sequential | nn.ModuleList):
            yield from _candidates(child, f"{prefix}{name}.")
