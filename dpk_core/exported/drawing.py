"""How each parameter of an exported network is drawn anew: by the operator that uses it. No initialiser travels with a
file, so this is a rule, stated in `program.DRAWING_RULE` and shown with each result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from dpk_core.exported.program import Draw, Leaf, Step

_SAME = frozenset(
    {
        "t", "transpose", "permute", "view", "reshape", "_unsafe_view", "to", "_to_copy", "contiguous", "clone",
        "detach", "alias", "unsqueeze", "squeeze", "expand", "flatten", "view_as", "type_as", "unflatten",
    }
)  # fmt: skip
"""What gives the same numbers in another shape: a parameter behind it is used as what comes after."""
_TURNS = frozenset({"t", "transpose", "permute"})

_BY_ARGUMENT: dict[str, dict[int, Draw]] = {
    **{name: {1: "convolution", 2: "zero"} for name in ("conv1d", "conv2d", "conv3d", "convolution")},
    **{name: {1: "convolution", 2: "zero"} for name in ("conv_transpose1d", "conv_transpose2d")},
    "layer_norm": {2: "one", 3: "zero"},
    "group_norm": {2: "one", 3: "zero"},
    "rms_norm": {2: "one"},
    "embedding": {0: "small"},
    "prelu": {1: "quarter"},
    "mul": {0: "one", 1: "one"},
    "div": {1: "one"},
}
_LINEAR = {"linear": (1, 2), "addmm": (2, 0), "mm": (1, None), "matmul": (1, None)}
"""Places of the weight and of the bias."""


def drawn(leaves: Sequence[Leaf], steps: Sequence[Step]) -> Iterator[Leaf]:
    """The leaves with how they are drawn; the first step that uses a parameter decides."""
    names = {leaf.value: leaf for leaf in leaves}
    draws: dict[int, tuple[Draw, str | None]] = {}
    origin: dict[int, tuple[int, bool]] = {value: (value, False) for value in names}
    for step in steps:
        if step.kind == "norm":
            continue
        name = step.name.partition(".")[0]
        used = [origin.get(each[1]) if each[0] == "value" else None for each in step.inputs]
        if name in _SAME and used and used[0] is not None:
            source, turned = used[0]
            origin[step.outputs[0]] = (source, turned != (name in _TURNS))
            continue
        for place, found in enumerate(used):
            if found is not None and found[0] not in draws:
                draws[found[0]] = _draw(name, place, found, used, names)
    norms = {f"{step.name}.weight" for step in steps if step.kind == "norm"}
    norm_biases = {f"{step.name}.bias" for step in steps if step.kind == "norm"}
    for leaf in leaves:
        draw, fan_of = draws.get(leaf.value, ("small", None))
        draw = "one" if leaf.name in norms else "zero" if leaf.name in norm_biases else draw
        yield replace(leaf, draw=draw, fan_of=fan_of)


def _draw(
    name: str, place: int, found: tuple[int, bool], used: Sequence[tuple[int, bool] | None], names: dict[int, Leaf]
) -> tuple[Draw, str | None]:
    leaf = names[found[0]]
    if name in _LINEAR:
        weight_place, bias_place = _LINEAR[name]
        weight = used[weight_place] if weight_place < len(used) else None
        if weight is not None and place in (weight_place, bias_place):
            # `linear` has outputs x inputs; a bare product has inputs x outputs unless the parameter was turned.
            draw: Draw = "linear" if (name == "linear") != weight[1] else "linear_transposed"
            return draw, None if place == weight_place else names[weight[0]].name
    if name in ("add", "add_"):
        return ("zero" if sum(size > 1 for size in leaf.shape) <= 1 else "small"), None
    return _BY_ARGUMENT.get(name.removesuffix("_"), {}).get(place, "small"), None
