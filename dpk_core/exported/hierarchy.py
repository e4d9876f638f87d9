"""Where the modules of the exported network begin and end in its graph, so that their outputs can be tapped.

torch.export notes at each node the stack of modules that were being called:
`L__self__,,__main__.Net;L__self__stages.0,stages.0,__main__.Block`: key, dotted name and class; a key with `@` is a
further call of the same module.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dpk_core.exported.program import Step

_MODULE = re.compile(r"[A-Za-z0-9_]{1,80}(?:\.[A-Za-z0-9_]{1,80}){0,30}")
_NORM_NAME = re.compile(r"(?:bn|norm|batch_?norm)\d*", re.IGNORECASE)
_DEEPEST = 40


@dataclass(frozen=True, slots=True)
class Place:
    """A module that a node belongs to. `call`: the key of the call."""

    call: str
    module: str
    kind: str


def places(stack: Any) -> tuple[Place, ...]:
    """The modules around a node, from the outermost; what is not in the usual form is left out."""
    found = []
    for entry in str(stack or "").split(";")[:_DEEPEST]:
        key, _, rest = entry.partition(",")
        module, _, kind = rest.partition(",")
        if _MODULE.fullmatch(module) and not key.startswith("_empty"):
            found.append(Place(key[:200], module, kind.rpartition(".")[2][:80]))
    return tuple(found)


def with_taps(
    steps: Sequence[Step], around: Sequence[tuple[Place, ...]], output: int, norms: set[str]
) -> tuple[list[Step], dict[str, str]]:
    """The steps, with a tap where a module ends that is called once and gives one tensor; and the modules' classes.

    `around`: the modules around each step; `norms`: modules that are called as such and need no tap.
    """
    of_module: dict[str, list[int]] = {}
    kinds: dict[str, str] = {}
    calls: dict[str, set[str]] = {}
    tensor_steps = [index for index, step in enumerate(steps) if _gives_tensors(step)]
    for order, index in enumerate(tensor_steps):
        for place in around[index]:
            of_module.setdefault(place.module, []).append(order)
            calls.setdefault(place.module, set()).add(place.call)
            kinds[place.module] = place.kind
    readers = _readers(steps, output)
    ends: dict[int, list[tuple[str, int]]] = {}
    for module, orders in of_module.items():
        if module in norms or len(calls[module]) > 1 or orders[-1] - orders[0] + 1 != len(orders):
            continue
        inside = {tensor_steps[order] for order in orders}
        given = [
            value
            for index in sorted(inside)
            for value in _numbers(steps[index].outputs)
            if any(reader not in inside for reader in readers.get(value, ()))
        ]
        if len(given) == 1:
            ends.setdefault(max(inside), []).append((module, given[0]))
    found: list[Step] = []
    for index, step in enumerate(steps):
        found.append(step)
        for module, value in sorted(ends.get(index, []), key=lambda end: -end[0].count(".")):
            found.append(Step(kind="tap", name=module, inputs=(["value", value],)))
    return found, kinds


def silent_norms(modules: Sequence[str], around: Sequence[tuple[Place, ...]]) -> str | None:
    """The first module without any node that must have been a normalisation: by its name, or as it stands behind a
    convolution in the same parent. None where there is no such one."""
    kinds = {place.module: place.kind for found in around for place in found}
    for before, module in zip(["", *modules], modules, strict=False):
        if not module or module in kinds or any(other.startswith(f"{module}.") for other in modules):
            continue
        same_parent = before.rpartition(".")[0] == module.rpartition(".")[0]
        if _NORM_NAME.fullmatch(module.rpartition(".")[2]) or (same_parent and kinds.get(before) == "Conv2d"):
            return module
    return None


def _gives_tensors(step: Step) -> bool:
    return step.kind != "python" and not step.name.startswith("sym_")


def _readers(steps: Sequence[Step], output: int) -> dict[int, set[int]]:
    """By value, the steps that read it; -1: it is the network's output."""
    found: dict[int, set[int]] = {output: {-1}}
    for index, step in enumerate(steps):
        for value in values_in([*step.inputs, *(step.named.values() if step.kind == "aten" else ())]):
            found.setdefault(value, set()).add(index)
    return found


def values_in(arguments: Iterable[Any]) -> Iterator[int]:
    """The numbers of the values among arguments."""
    for each in arguments:
        if each[0] == "value":
            yield each[1]
        elif each[0] == "list":
            yield from values_in(each[1])


def _numbers(outputs: Sequence[Any]) -> Iterator[int]:
    for each in outputs:
        if isinstance(each, list):
            yield from each
        elif each is not None:
            yield each
