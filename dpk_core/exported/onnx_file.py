"""ONNX files, opened as if they were hostile: one graph of standard operators, numbers inside the file.

External data are never followed, functions and graphs within graphs are refused, and tensors must have the bytes that
their shapes take.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import numpy_helper

from dpk_core.exported.archive import Refused
from dpk_core.exported.program import Side

EXPORT_ONNX = (
    "export it with torch.onnx.export(…, dynamo=False, opset_version=17, "
    "training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False)"
)
MOST_NODES = 20_000
OPSETS = range(9, 24)
MOST_MADE = 2**22
"""Numbers that nodes may make from a shape alone: a small file could ask for any amount of them."""

Array = NDArray[Any]
_TYPES = {
    onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16, onnx.TensorProto.INT64,
    onnx.TensorProto.INT32, onnx.TensorProto.BOOL,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Node:
    """An operation. `place`: its number in the graph; empty names among `inputs` and `outputs` are not there."""

    kind: str
    name: str
    place: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    def input(self, place: int) -> str:
        """The name of an input; empty where it is left out."""
        return self.inputs[place] if place < len(self.inputs) else ""


@dataclass(frozen=True, slots=True)
class OnnxGraph:
    """A checked graph. `batch`: pictures that it was exported for; None: any number."""

    opset: int
    pictures: str
    output: str
    batch: int | None
    channels: int
    height: Side
    width: Side
    nodes: tuple[Node, ...]
    initialisers: Mapping[str, Array]


def open_onnx(file: Path) -> OnnxGraph:
    """The graph of a file. Raises Refused, OSError."""
    try:
        model = onnx.load_model_from_string(file.read_bytes())  # bytes alone: no file beside it is ever opened
    except (DecodeError, ValueError):
        raise Refused("it is no ONNX file") from None
    _check_model(model)
    opset = next((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), 0)
    if opset not in OPSETS:
        raise Refused(f"it is of opset {opset}; {OPSETS[0]} to {OPSETS[-1]} are read, so {EXPORT_ONNX}")
    graph = model.graph
    if len(graph.node) > MOST_NODES:
        raise Refused(f"its graph has {len(graph.node)} nodes; at most {MOST_NODES} are read")
    initialisers: dict[str, Array] = {}
    for tensor in graph.initializer:
        if tensor.name in initialisers:
            raise Refused(f"two initialisers are called {tensor.name[:80]!r}")
        initialisers[tensor.name] = array(tensor)
    inputs = [each for each in graph.input if each.name not in initialisers]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise Refused(
            f"it takes {len(inputs)} inputs and gives {len(graph.output)} outputs; a network here takes one batch of "
            "pictures and gives one tensor, a score for each class"
        )
    nodes = tuple(_node(place, node) for place, node in enumerate(graph.node))
    batch, channels, height, width = _pictures(inputs[0])
    return OnnxGraph(
        opset=opset, pictures=inputs[0].name, output=graph.output[0].name, batch=batch, channels=channels,
        height=height, width=width, nodes=nodes, initialisers=initialisers,
    )  # fmt: skip


def array(tensor: Any) -> Array:
    """The numbers of a tensor; floating-point ones as float32. Raises Refused."""
    shown = f"its tensor {tensor.name[:80]!r}"
    if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
        raise Refused(f"{shown} lies in another file; save the model with its weights inside (external_data=False)")
    if tensor.data_type not in _TYPES:
        raise Refused(f"{shown} is of a type that is not taken; convert it to float32")
    if any(size < 0 for size in tensor.dims) or len(tensor.dims) > 8:
        raise Refused(f"the shape of {shown.removeprefix('its ')} in it is no list of at most 8 natural numbers")
    try:
        found: Array = numpy_helper.to_array(tensor)
    except (ValueError, TypeError, OverflowError):
        raise Refused(f"{shown} has not as many bytes as its shape {list(tensor.dims)} takes") from None
    return found.astype(np.float32) if found.dtype.kind == "f" else found


def filled(shape: Array, value: Any, made: int) -> Array:
    """What `ConstantOfShape` gives. `made`: numbers that others gave. Raises Refused beyond `MOST_MADE` of all."""
    sizes = [int(size) for size in shape.ravel()]
    if any(size < 0 for size in sizes) or len(sizes) > 8 or made + math.prod(sizes) > MOST_MADE:
        raise Refused(f"its ConstantOfShape make more than {MOST_MADE:,} numbers; save the weights themselves")
    of = np.zeros(1, np.float32) if value is None else value
    return np.full(sizes, of.ravel()[0], of.dtype)


def _check_model(model: Any) -> None:
    if model.functions or model.graph.sparse_initializer or model.graph.quantization_annotation:
        raise Refused("it holds functions, sparse or quantised tensors, which are not taken")
    others = sorted({node.domain for node in model.graph.node} - {"", "ai.onnx"})
    if others:
        raise Refused(f"it uses operators of the domain {others[0][:80]!r}; those of ONNX itself are taken")


def _node(place: int, node: Any) -> Node:
    return Node(
        node.op_type[:80], node.name, place, tuple(node.input), tuple(node.output), dict(_attributes(node))
    )  # fmt: skip


def _attributes(node: Any) -> Iterator[tuple[str, Any]]:
    kinds = onnx.AttributeProto
    for each in node.attribute:
        if each.ref_attr_name or each.type not in (kinds.INT, kinds.FLOAT, kinds.STRING, kinds.INTS, kinds.FLOATS,
                                                   kinds.TENSOR):  # fmt: skip
            raise Refused(f"its operator {node.op_type[:80]} holds a graph or another attribute that is not taken")
        if each.type == kinds.TENSOR:
            yield each.name, array(each.t)
        elif each.type == kinds.STRING:
            yield each.name, each.s.decode("utf-8", "replace")
        else:
            value = onnx.helper.get_attribute_value(each)
            yield each.name, list(value) if each.type in (kinds.INTS, kinds.FLOATS) else value


def _pictures(given: Any) -> tuple[int | None, int, Side, Side]:
    """Batch, channels, heights and widths that are taken."""
    tensor = given.type.tensor_type
    sizes = [(size.dim_value if size.HasField("dim_value") else None) for size in tensor.shape.dim]
    if tensor.elem_type != onnx.TensorProto.FLOAT or len(sizes) != 4:
        raise Refused("its input is no float32 batch of pictures, B x C x H x W")
    batch, channels, *sides = sizes
    if channels not in (1, 3):
        raise Refused("its pictures have neither one channel nor three")
    height, width = (Side(factor=1, offset=0, least=1) if side is None else Side(factor=0, offset=side)
                     for side in sides)  # fmt: skip
    if height.factor == width.factor == 0 and height.offset != width.offset:
        raise Refused(f"its pictures are {height.offset}x{width.offset}; pictures here are square")
    return batch, channels, height, width
