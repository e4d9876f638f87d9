"""Exported programs as networks: built from the checked description, and never through torch's own loader.

The modules of the original network are there under their names, with their parameters, so weights, taps and batch
normalisation work as in any other network. A module other than batch normalisation computes nothing: where it ends in
the graph, it is called with what it gives, so that hooks see it. B pictures, C channels, H x W size.
"""

from __future__ import annotations

import functools
import json
import math
import operator
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from dpk_core import artifacts
from dpk_core.catalogue.own_models import UPLOAD, stored_program
from dpk_core.codec import from_json, to_json
from dpk_core.exported.operators import PYTHON, is_allowed
from dpk_core.exported.program import PICTURES, Leaf, Program, Step
from dpk_core.protocol import ArtifactReference

KEEP = 4
"""Programs whose files stay in memory."""
SMALL = 0.02
"""Standard deviation of embeddings, tables and tokens."""


class ModulePlaceholder(nn.Module):
    """A module of the original network, called with what that gave. `stands_for`: the class it had there."""

    def __init__(self, stands_for: str = "") -> None:
        super().__init__()
        self.stands_for = stands_for

    def forward(self, given: Tensor) -> Tensor:
        """What it is given."""
        return given


class ExportedNorm(_BatchNorm):
    """Batch normalisation over whatever follows the channels."""

    def _check_input_dim(self, given: Tensor) -> None:
        pass


class ExportedModel(ModulePlaceholder):
    """The network of a program, with a head for `classes`; its numbers are those of torch's defaults until drawn."""

    def __init__(self, program: Program, classes: int | None = None) -> None:
        super().__init__()
        self.program, self.picture_channels = program, program.channels
        for step in program.steps:
            if step.kind == "norm":
                self._add_norm(step)
        for leaf in program.leaves:
            self._add_leaf(leaf, classes)
        for step in program.steps:
            if step.kind == "tap":
                self._part(step.name)
        self._calls = [_Call(step) for step in program.steps]
        self._release = _last_reads(program)

    def forward(self, pictures_BCHW: Tensor) -> Tensor:
        """Class scores, B x classes. Raises ValueError for pictures of a size that it was not exported for."""
        height, width = pictures_BCHW.shape[2:]
        if not (self.program.height.takes(height) and self.program.width.takes(width)):
            raise ValueError(f"the network was not exported for pictures of {height}x{width}")
        modules = dict(self.named_modules())
        values: dict[int, Any] = {PICTURES: pictures_BCHW}
        for leaf in self.program.leaves:
            module, _, name = leaf.name.rpartition(".")
            values[leaf.value] = getattr(modules[module], name)
        for index, call in enumerate(self._calls):
            call(values, modules, self.training)
            for value in self._release.get(index, ()):
                del values[value]
        scores: Tensor = values[self.program.output]
        return scores

    @torch.no_grad()
    def draw(self) -> None:
        """Draws every parameter anew from torch's default generator, by the rule of `program.DRAWING_RULE`."""
        parameters = dict(self.named_parameters())
        for leaf in self.program.leaves:
            if leaf.role == "parameter":
                _draw(parameters[leaf.name], leaf, parameters.get(leaf.fan_of or leaf.name))
        for module in self.modules():
            if isinstance(module, _BatchNorm):
                module.reset_running_stats()

    @torch.no_grad()
    def take(self, state: Mapping[str, Tensor], *roles: str) -> None:
        """Takes over the leaves of these roles; running statistics are none of them unless all are asked for."""
        for leaf in self.program.leaves:
            module, _, name = leaf.name.rpartition(".")
            owner = self.get_submodule(module)
            if leaf.role in roles and not (roles == ("buffer", "constant") and isinstance(owner, _BatchNorm)):
                getattr(owner, name).copy_(state[leaf.name])

    def _part(self, name: str) -> nn.Module:
        """The module of this dotted name, made where it is not there yet."""
        found: nn.Module = self
        path = ""
        for part in filter(None, name.split(".")):
            path = f"{path}.{part}" if path else part
            if part not in found._modules:
                found.add_module(part, ModulePlaceholder(self.program.modules.get(path, "")))
            found = found.get_submodule(part)
        return found

    def _add_norm(self, step: Step) -> None:
        parent, _, name = step.name.rpartition(".")
        owner = self._part(parent)
        if name in owner._modules:
            return
        shapes = {leaf.name: leaf.shape for leaf in self.program.leaves}
        (features,) = shapes[f"{step.name}.running_mean"]
        affine = f"{step.name}.weight" in shapes
        owner.add_module(name, ExportedNorm(features, step.named["eps"], step.named["momentum"], affine))

    def _add_leaf(self, leaf: Leaf, classes: int | None) -> None:
        module, _, name = leaf.name.rpartition(".")
        owner = self._part(module)
        if isinstance(owner, _BatchNorm):
            if tuple(getattr(owner, name).shape) != leaf.shape:
                raise ValueError(f"{leaf.name} has the shape {leaf.shape}, which its batch normalisation cannot have")
            return
        shape = leaf.shape if classes is None or leaf.name not in self.program.head else (classes, *leaf.shape[1:])
        dtype = getattr(torch, leaf.dtype)
        if leaf.role == "parameter":
            owner.register_parameter(name, nn.Parameter(torch.empty(shape, dtype=torch.float32)))
        else:
            dtype = torch.float32 if dtype.is_floating_point else dtype
            owner.register_buffer(name, torch.zeros(shape, dtype=dtype), persistent=leaf.role == "buffer")


class _Call:
    """A step with its operator looked up. Raises ValueError for one that is not allowed or that torch does not have."""

    def __init__(self, step: Step) -> None:
        self._step = step
        self._operator: Any = _operator(step)

    def __call__(self, values: dict[int, Any], modules: Mapping[str, nn.Module], training: bool) -> None:
        device = values[PICTURES].device
        given = [_argument(each, values, device, training) for each in self._step.inputs]
        if self._step.kind in ("norm", "tap"):
            result = modules[self._step.name](*given)
        elif self._step.kind == "dropout":
            result = F.dropout(given[0], given[1], training)
        elif self._step.kind == "python":
            result = self._operator(*given)
        else:
            named = {key: _argument(each, values, device, training) for key, each in self._step.named.items()}
            result = self._operator(*given, **named)
        outputs = self._step.outputs
        for number, each in zip(outputs, (result,) if len(outputs) == 1 else result if outputs else (), strict=True):
            if isinstance(number, list):
                values.update(zip(number, each, strict=True))
            elif number is not None:
                values[number] = each


def build_exported(member: str, classes: int, _channels: int, _side: int | None) -> ExportedModel:
    """An upload that this process knows (`own_models.make_known`), with parameters drawn anew."""
    program, state = _stored(f"{UPLOAD}/{member}")
    model = ExportedModel(program, classes)
    model.draw()
    model.take(state, "buffer", "constant")
    return model


def own_weights(name: str) -> Mapping[str, Tensor]:
    """Parameters and buffers as the upload had them, by the network's own names."""
    program, state = _stored(name)
    return {leaf.name: state[leaf.name] for leaf in program.leaves if leaf.role != "constant"}


def packed(program: Program, state: Mapping[str, Tensor]) -> bytes:
    """The checked program as a safetensors file, its description among the metadata."""
    text = json.dumps(to_json(program), separators=(",", ":"))
    return safetensors.torch.save(dict(state), {"program": text})


def unpacked(content: bytes) -> tuple[Program, Mapping[str, Tensor]]:
    """What `packed` gave."""
    length = int.from_bytes(content[:8], "little")
    text = json.loads(content[8 : 8 + length])["__metadata__"]["program"]
    return from_json(Program, json.loads(text)), safetensors.torch.load(content)


def _stored(name: str) -> tuple[Program, Mapping[str, Tensor]]:
    return _read(*stored_program(name))


@functools.lru_cache(maxsize=KEEP)
def _read(root: Path, reference: ArtifactReference) -> tuple[Program, Mapping[str, Tensor]]:
    return unpacked(artifacts.read(root, reference))


def _operator(step: Step) -> Any:
    if step.kind == "python":
        if step.name not in PYTHON:
            raise ValueError(f"the operator {step.name} is not allowed")
        return getattr(operator, step.name)
    if step.kind != "aten":
        return None
    name, _, overload = step.name.partition(".")
    if not is_allowed(name):
        raise ValueError(f"aten.{name} is not allowed")
    found = getattr(getattr(torch.ops.aten, name, None), overload, None)
    if found is None:
        raise ValueError(f"this torch has no aten.{step.name}")
    return found


def _argument(given: Any, values: Mapping[int, Any], device: torch.device, training: bool) -> Any:
    kind = given[0]
    if kind == "value":
        return values[given[1]]
    if kind == "plain":
        return given[1]
    if kind == "list":
        return [_argument(each, values, device, training) for each in given[1]]
    if kind == "training":
        return given[1] if training else 0.0
    return device if kind == "device" else getattr(torch, given[1])


def _last_reads(program: Program) -> dict[int, list[int]]:
    """By step, the values that no later one reads."""
    last: dict[int, int] = {}

    def note(given: Any, index: int) -> None:
        if given[0] == "value":
            last[given[1]] = index
        elif given[0] == "list":
            for each in given[1]:
                note(each, index)

    for index, step in enumerate(program.steps):
        for each in [*step.inputs, *(step.named.values() if step.kind == "aten" else ())]:
            note(each, index)
    kept = {PICTURES, program.output, *(leaf.value for leaf in program.leaves)}
    found: dict[int, list[int]] = {}
    for value, index in last.items():
        if value not in kept:
            found.setdefault(index, []).append(value)
    return found


def _draw(parameter: Tensor, leaf: Leaf, weight: Tensor | None) -> None:
    match leaf.draw:
        case "convolution":
            nn.init.kaiming_normal_(parameter, mode="fan_out", nonlinearity="relu")
        case "linear" | "linear_transposed":
            assert weight is not None, leaf.name
            inputs = weight.shape[0] if leaf.draw == "linear_transposed" or weight.ndim < 2 else weight[0].numel()
            bound = 1 / math.sqrt(max(inputs, 1))
            nn.init.uniform_(parameter, -bound, bound)
        case "one" | "zero" | "quarter":
            nn.init.constant_(parameter, {"one": 1.0, "zero": 0.0, "quarter": 0.25}[leaf.draw])
        case "small":
            nn.init.normal_(parameter, std=SMALL)
