"""Finds out by running a model which of its modules give feature maps, and for which pictures. H, W: picture size."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dpk_core.models.layout import MOST_PREFIX_TOKENS, MapShape, first_tensor, map_shape, stride_of

TapEntry = tuple[str, int, int] | tuple[str, int, int, str] | tuple[str, int, int, str, int]
"""Module, channels, stride; the layout where it is not `nchw`; and the offset where the map's side is not rounded up
(`dpk_core.catalogue.models.Tap`)."""

NO_SCORES = "its output is not one score for each class"

NO_FEATURES = (nn.Conv2d, nn.Dropout, nn.Dropout2d, nn.Identity)
"""A bare convolution (a patch embedding, say) is not yet a feature; dropout would make a student's map noisy."""

SEQUENCES = (nn.Sequential, nn.ModuleList)

NO_FEATURE_NAMES = frozenset(kind.__name__ for kind in NO_FEATURES)
SEQUENCE_NAMES = frozenset({"Sequential", "ModuleList", ""})
"""Also of modules that stand for another one (`exported.ModulePlaceholder`). One without a class is a sequence that is
never called."""


class NoTaps(Exception):
    """The model runs, but has no two feature maps that can be tapped; the text says why in one clause."""


@dataclass(frozen=True, slots=True)
class TracedMap:
    """A module and the map it gave."""

    module: str
    shape: MapShape


def declared_taps(model: nn.Module, size: tuple[int, int], declared: Sequence[tuple[str, int]]) -> list[TapEntry]:
    """Of the declared features (module, channels), shallow to deep, those that are maps: the deepest per stride.

    Raises NoTaps where fewer than two are left.
    """
    if not declared:
        raise NoTaps("the library declares no feature maps for it")
    modules = dict(model.named_modules())
    outputs = run(model, size, [name for name, _ in declared if name in modules])
    if not outputs:
        raise NoTaps("the modules that the library declares are no part of its forward pass")
    prefixes = _prefixes(model)
    shapes = {name: map_shape(outputs.get(name), _pictures(*size), channels, prefixes) for name, channels in declared}
    return _chosen([TracedMap(name, shape) for name, shape in shapes.items() if shape is not None], size)


def found_taps(model: nn.Module, size: tuple[int, int], classes: int) -> list[TapEntry]:
    """The deepest feature map per stride among the model's children and the members of its sequences.

    What follows global pooling is left out, and so are maps of class scores. Raises NoTaps where fewer than two are
    left.
    """
    candidates = dict(_candidates(model))
    outputs = run(model, size, list(candidates))
    prefixes = _prefixes(model)
    maps = []
    for name, output in outputs.items():
        if isinstance(candidates[name], nn.AdaptiveAvgPool2d) or _stands_for(candidates[name]) == "AdaptiveAvgPool2d":
            break
        shape = map_shape(output, _pictures(*size), None, prefixes)
        if shape is not None and shape.channels != classes:
            maps.append(TracedMap(name, shape))
    return _chosen(maps, size)


def gives_scores(model: nn.Module, size: tuple[int, int], classes: int) -> bool:
    """Whether the model's output is B x classes; a feature encoder's, say, is not."""
    output = model(_blank(model, size))
    return isinstance(output, Tensor) and output.shape == (_pictures(*size)[0], classes)


def run(model: nn.Module, size: tuple[int, int], names: Sequence[str]) -> dict[str, Any]:
    """Outputs of the named modules in the order in which they ended, without those changed in place later on."""
    outputs: dict[str, Any] = {}
    versions: dict[str, int] = {}

    def version(output: Any) -> int:
        tensor = first_tensor(output)
        return 0 if tensor is None else tensor._version

    def keeper(name: str) -> Any:
        def keep(_: nn.Module, __: object, output: Any) -> None:
            outputs.pop(name, None)
            outputs[name] = output
            versions[name] = version(output)

        return keep

    handles = [model.get_submodule(name).register_forward_hook(keeper(name)) for name in names]
    try:
        model(_blank(model, size))
    finally:
        for handle in handles:
            handle.remove()
    return {name: output for name, output in outputs.items() if version(output) == versions[name]}


def _pictures(height: int, width: int) -> torch.Size:
    return torch.Size((2, 3, height, width))


def _blank(model: nn.Module, size: tuple[int, int]) -> Tensor:
    """Pictures where the model is: on the meta device nothing is computed."""
    channels = getattr(model, "picture_channels", 3)
    return torch.zeros(_pictures(*size), device=next(model.parameters()).device)[:, :channels]


def _prefixes(model: nn.Module) -> list[int]:
    """How many prefix tokens a sequence of this model may have, the likeliest first."""
    declared = getattr(model, "num_prefix_tokens", None)
    if isinstance(declared, int):
        return [declared, 0]
    return list(range(MOST_PREFIX_TOKENS + 1))


def _chosen(maps: Sequence[TracedMap], size: tuple[int, int]) -> list[TapEntry]:
    """One tap per stride, the last, from shallow to deep; of maps of one stride the last and the one two thirds down.

    Raises NoTaps where fewer than two are left.
    """
    if not maps:
        raise NoTaps("none of its modules gives a feature map")
    by_stride = {stride_of(size[0], found.shape.height): found for found in maps}
    if len(by_stride) > 1:
        return [_entry(found, stride) for stride, found in sorted(by_stride.items())]
    # What stands beside the blocks (a last norm, the sequence as a whole) is no deeper than the last block.
    parents = Counter(found.module.rpartition(".")[0] for found in maps)
    sequence = parents.most_common(1)[0][0]
    blocks = [found for found in maps if found.module.rpartition(".")[0] == sequence]
    if not sequence or len(blocks) < 2:
        raise NoTaps("it gives a single feature map")
    (stride,) = by_stride
    return [_entry(found, stride) for found in (blocks[two_thirds_down(len(blocks))], blocks[-1])]


def two_thirds_down(blocks: int) -> int:
    """The index of the second tap among `blocks` of one resolution: block 8 of 12, and never the last."""
    return min(math.ceil(blocks * 2 / 3), blocks - 1) - 1


def _entry(found: TracedMap, stride: int) -> TapEntry:
    shape = found.shape
    if shape.layout == "nchw":
        return (found.module, shape.channels, stride)
    return (found.module, shape.channels, stride, shape.layout)


def _candidates(model: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Children and members of sequences. Other modules are not entered, for inside blocks maps are half made; but the
    sequences of the model's own parts (an encoder, say) are."""
    for name, child in model.named_children():
        if not isinstance(child, NO_FEATURES) and _stands_for(child) not in NO_FEATURE_NAMES:
            yield prefix + name, child
        if _is_sequence(child):
            yield from _candidates(child, f"{prefix}{name}.")
        elif not prefix:
            for inner, part in child.named_children():
                if _is_sequence(part):
                    yield from _candidates(part, f"{name}.{inner}.")


def _is_sequence(module: nn.Module) -> bool:
    return isinstance(module, SEQUENCES) or _stands_for(module) in SEQUENCE_NAMES


def _stands_for(module: nn.Module) -> str | None:
    """The class of the module that this one stands for; None where it is itself."""
    return getattr(module, "stands_for", None)
