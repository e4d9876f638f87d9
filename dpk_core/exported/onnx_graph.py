"""An ONNX graph as a `Program`, or a refusal that says what to export.

| rule | why |
|---|---|
| every initialiser becomes a parameter or a running statistic | else a network would train in part, and nobody see it |
| batch normalisation must be there | folded into convolutions, it cannot be trained |
| copies (`Identity`) of initialisers are initialisers of their own | exporters keep equal numbers once |
| a final `Softmax` is left out | losses take scores; which class is largest stays the same |
| a fixed batch is any batch | the check runs others, and one picture's scores must not depend on the rest |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dpk_core.exported import onnx_layers as layers
from dpk_core.exported.archive import Refused
from dpk_core.exported.drawing import drawn
from dpk_core.exported.graph import scoring_layer
from dpk_core.exported.hierarchy import with_taps
from dpk_core.exported.onnx_file import EXPORT_ONNX, Array, Node, OnnxGraph, filled
from dpk_core.exported.onnx_values import (
    Computed,
    Sizes,
    Stored,
    Translation,
    Value,
    as_argument,
    as_sequences,
    modules_around,
    pictures,
)
from dpk_core.exported.program import Program

SOFTMAX_LEFT_OUT = "The final Softmax of the file was left out: losses and accuracies take scores."
MOST_SIZES = 64
_POINTWISE = {
    "Relu": "relu.default", "Sigmoid": "sigmoid.default", "Tanh": "tanh.default", "HardSwish": "hardswish.default",
    "Softplus": "softplus.default", "Abs": "abs.default", "Neg": "neg.default", "Exp": "exp.default",
    "Sqrt": "sqrt.default",
}  # fmt: skip
_TENSORS = {"Add": "add", "Sum": "add", "Sub": "sub", "Mul": "mul", "Div": "div"}
_WHOLE = {"Add": "add", "Sub": "sub", "Mul": "mul", "Div": "floordiv"}


def translate(graph: OnnxGraph) -> tuple[Program, dict[str, Array], tuple[str, ...]]:
    """The program of a graph, the numbers of its leaves by name, and what people must know of it. Raises Refused."""
    try:
        return _translate(graph)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError, OverflowError) as error:
        raise Refused(f"its graph is not in the form that ONNX has ({type(error).__name__}); {EXPORT_ONNX}") from None


def _translate(graph: OnnxGraph) -> tuple[Program, dict[str, Array], tuple[str, ...]]:
    found = Translation(graph)
    found.give(graph.pictures, pictures())
    for name, numbers in graph.initialisers.items():
        found.give(name, Stored(numbers, name, name))
    for name in (name for node in graph.nodes for name in node.inputs):
        found.readers[name] = found.readers.get(name, 0) + 1
    for node in graph.nodes:
        found.here = modules_around(node)
        if node.kind == "Softmax" and node.outputs[0] == graph.output:
            found.notes.append(SOFTMAX_LEFT_OUT)
            found.give(node.outputs[0], found.tensor(node.input(0), node.kind))
        elif node.kind not in OPERATORS:
            raise Refused(
                f"it uses the operator {node.kind!r}, which is not among those of CNNs; {layers.BRING}, or "
                f"{EXPORT_ONNX}"
            )
        else:
            found.give(node.outputs[0], OPERATORS[node.kind](found, node))
            if any(found.readers.get(name) for name in node.outputs[1:]):
                raise Refused(f"more than the first output of its {node.kind} is used")
    _check_initialisers(found)
    return _program(found), found.numbers, tuple(found.notes)


def _program(found: Translation) -> Program:
    graph, scores = found.graph, found.tensor(found.graph.output, "graph")
    norms = {step.name for step in found.steps if step.kind == "norm"}
    if scores.rank != 2:
        found.here = ()
        scores = found.step("flatten.using_ints", scores, 1, -1, rank=2)
    steps, modules = with_taps(found.steps, as_sequences(found.places), scores.number, norms)
    leaves = list(drawn(found.leaves, steps))
    return Program(
        channels=graph.channels, height=graph.height, width=graph.width, leaves=tuple(leaves), steps=tuple(steps),
        output=scores.number, modules=modules, head=scoring_layer(steps, scores.number, leaves),
    )  # fmt: skip


def _check_initialisers(found: Translation) -> None:
    """Refuses a file with numbers that would not be trained. Single ones are settings."""
    for name, numbers in found.graph.initialisers.items():
        if numbers.dtype.kind == "f" and numbers.size > 1 and name not in found.trained:
            raise Refused(
                f"its initialiser {name[:80]!r} would not be trained: no layer has it as a parameter; {layers.BRING}"
            )


def _pointwise(found: Translation, node: Node) -> Value:
    given = found.tensor(node.input(0), node.kind)
    return found.step(_POINTWISE[node.kind], given, rank=given.rank)


def _with_slope(found: Translation, node: Node) -> Value:
    given, name = found.tensor(node.input(0), node.kind), {"LeakyRelu": "leaky_relu", "Elu": "elu"}[node.kind]
    return found.step(
        f"{name}.default", given, float(node.attributes.get("alpha", {"leaky_relu": 0.01, "elu": 1.0}[name])),
        rank=given.rank,
    )  # fmt: skip


def _prelu(found: Translation, node: Node) -> Value:
    given, slope = found.tensor(node.input(0), node.kind), found.stored(node.input(1), node.kind)
    weight = found.leaf(slope, found.module(node, slope), "weight", slope.numbers.ravel())
    return found.step("prelu.default", given, weight, rank=given.rank)


def _hard_sigmoid(found: Translation, node: Node) -> Value:
    given = found.tensor(node.input(0), node.kind)
    alpha, beta = float(node.attributes.get("alpha", 0.2)), float(node.attributes.get("beta", 0.5))
    scaled = found.step("mul.Scalar", given, alpha, rank=given.rank)
    return found.step("clamp.default", found.step("add.Scalar", scaled, beta), 0.0, 1.0, rank=given.rank)


def _clip(found: Translation, node: Node) -> Value:
    given = found.tensor(node.input(0), node.kind)
    limits = [
        float(found.stored(node.input(place), node.kind).numbers.item()) if node.input(place)
        else node.attributes.get(name)
        for place, name in ((1, "min"), (2, "max"))
    ]  # fmt: skip
    return given if limits == [None, None] else found.step("clamp.default", given, *limits, rank=given.rank)


def _arithmetic(found: Translation, node: Node) -> Value:
    """Sums, products and the like of tensors, of a tensor and a parameter, of a tensor and a number, or of sizes."""
    given = [found.value(name) for name in node.inputs]
    if any(isinstance(each, Sizes) for each in given):
        left, right = (_sizes(each).entries for each in given)
        both = zip(left, right, strict=True)
        entries = tuple(found.size(_WHOLE[node.kind], *pair, python=True) for pair in both)
        return Sizes(entries, all(_sizes(each).scalar for each in given))
    result = given[0]
    for other in given[1:]:
        result = _of_two(found, node, result, other)
    return result


def _of_two(found: Translation, node: Node, left: Value, right: Value) -> Value:
    name = _TENSORS[node.kind]
    if isinstance(left, Computed) and isinstance(right, Computed):
        return found.step(f"{name}.Tensor", left, right, rank=max(left.rank, right.rank))
    tensor, stored, turned = (left, right, False) if isinstance(left, Computed) else (right, left, True)
    if not isinstance(tensor, Computed) or not isinstance(stored, Stored):
        raise Refused(f"its {node.kind} works on constants, not on pictures; {EXPORT_ONNX}")
    if stored.numbers.size == 1:
        return _with_number(found, name, tensor, float(stored.numbers.item()), turned=turned)
    if name not in ("add", "mul") or stored.source is None:
        raise Refused(
            f"its {node.kind} takes the numbers {stored.name[:80]!r}, which are no parameter that is added or "
            f"multiplied by; {layers.BRING}"
        )
    read_once = found.readers.get(node.inputs[1 if turned else 0]) == 1
    if name == "add" and read_once and layers.take_bias(found, tensor, stored):
        return tensor
    part = {"add": "bias", "mul": "weight"}[name]
    other = found.leaf(stored, f"{node.kind.lower()}_{node.place}", part, stored.numbers)
    return found.step(f"{name}.Tensor", tensor, other, rank=max(tensor.rank, stored.numbers.ndim))


def _with_number(found: Translation, name: str, tensor: Computed, number: float, *, turned: bool) -> Computed:
    if turned and name == "sub":
        return found.step("rsub.Scalar", tensor, number, rank=tensor.rank)
    if turned and name == "div":
        name, tensor = "mul", found.step("reciprocal.default", tensor, rank=tensor.rank)
    return found.step(f"{name}.Scalar", tensor, number, rank=tensor.rank)


def _global_pool(found: Translation, node: Node) -> Value:
    given = found.tensor(node.input(0), node.kind)
    if node.kind == "GlobalMaxPool":
        return found.step("amax.default", given, [2, 3], True)
    return found.step("adaptive_avg_pool2d.default", given, [1, 1])


def _mean(found: Translation, node: Node) -> Value:
    given, axes = found.tensor(node.input(0), node.kind), _axes(found, node)
    keeps = bool(node.attributes.get("keepdims", 1))
    if not axes:
        raise Refused("its ReduceMean names no axes")
    return found.step("mean.dim", given, axes, keeps, rank=given.rank if keeps else given.rank - len(axes))


def _flatten(found: Translation, node: Node) -> Value:
    given = found.tensor(node.input(0), node.kind)
    if node.attributes.get("axis", 1) != 1:
        raise Refused("its Flatten joins pictures of a batch")
    return found.step("flatten.using_ints", given, 1, -1, rank=2)


def _reshape(found: Translation, node: Node) -> Value:
    shape = found.value(node.input(1))
    given = found.value(node.input(0))
    if isinstance(given, Stored) and isinstance(shape, Stored):
        return Stored(given.numbers.reshape(found.whole(node.input(1), node.kind)), given.name, given.source)
    if not isinstance(given, Computed):
        raise Refused(f"its {node.kind} works on neither pictures nor constants; {EXPORT_ONNX}")
    entries = list(_sizes(shape).entries)
    for place, entry in enumerate(entries):
        batch = place == 0 and found.graph.batch is not None and entry == ["plain", found.graph.batch]
        if batch or (entry == ["plain", 0] and not node.attributes.get("allowzero", 0)):
            entries[place] = found.size("sym_size.int", given, place)
    return found.step("reshape.default", given, ["list", entries], rank=len(entries))


def _transpose(found: Translation, node: Node) -> Value:
    given = found.tensor(node.input(0), node.kind)
    return found.step("permute.default", given, list(node.attributes["perm"]), rank=given.rank)


def _concat(found: Translation, node: Node) -> Value:
    given = [found.value(name) for name in node.inputs]
    if all(isinstance(each, Computed) for each in given):
        tensors = [each for each in given if isinstance(each, Computed)]
        parts = ["list", [as_argument(each) for each in tensors]]
        return found.step("cat.default", parts, node.attributes["axis"], rank=tensors[0].rank)
    entries = [entry for each in given for entry in _sizes(each).entries]
    if len(entries) > MOST_SIZES:
        raise Refused(f"a shape in it has {len(entries)} sizes")
    return Sizes(tuple(entries))


def _unsqueeze(found: Translation, node: Node) -> Value:
    given, axes = found.value(node.input(0)), _axes(found, node)
    if isinstance(given, Sizes):
        return Sizes(given.entries)
    if isinstance(given, Stored):
        numbers = np.expand_dims(given.numbers, tuple(axes))
        return Stored(numbers, given.name, given.source)
    rank = given.rank + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        given = found.step("unsqueeze.default", given, axis, rank=rank)
    return given


def _squeeze(found: Translation, node: Node) -> Value:
    given, axes = found.value(node.input(0)), _axes(found, node)
    if isinstance(given, Sizes):
        return Sizes(given.entries, scalar=True)
    if not isinstance(given, Computed) or not axes:
        raise Refused("its Squeeze names no axes, or works on constants")
    return found.step("squeeze.dims", given, axes, rank=given.rank - len(axes))


def _axes(found: Translation, node: Node) -> list[int]:
    return found.whole(node.input(1), node.kind) if node.input(1) else list(node.attributes.get("axes", []))


def _pad(found: Translation, node: Node) -> Value:
    given = found.tensor(node.input(0), node.kind)
    pads = found.whole(node.input(1), node.kind) if node.input(1) else list(node.attributes.get("pads", []))
    value = float(found.stored(node.input(2), node.kind).numbers.item()) if node.input(2) else 0.0
    if node.attributes.get("mode", "constant") != "constant" or len(pads) != 2 * given.rank or node.input(3):
        raise Refused("its Pad is no constant border around pictures")
    around = [each for axis in reversed(range(given.rank)) for each in (pads[axis], pads[axis + given.rank])]
    return found.step("constant_pad_nd.default", given, around, value, rank=given.rank)


def _dropout(found: Translation, node: Node) -> Value:
    given = found.tensor(node.input(0), node.kind)
    ratio: Any = node.attributes.get("ratio", 0.5)
    if node.input(1):
        ratio = found.stored(node.input(1), node.kind).numbers.item()
    if not 0 <= ratio < 1:
        raise Refused(f"its Dropout drops {ratio:g} of everything")
    return found.step("dropout", given, float(ratio), kind="dropout", rank=given.rank)


def _copy(found: Translation, node: Node) -> Value:
    """`Identity`: of an initialiser, one of its own under the new name."""
    given = found.value(node.input(0))
    return Stored(given.numbers, node.outputs[0], given.source) if isinstance(given, Stored) else given


def _constant(_: Translation, node: Node) -> Value:
    (name, value), *others = node.attributes.items()
    if others or name not in ("value", "value_float", "value_floats", "value_int", "value_ints"):
        raise Refused("a Constant in it holds no numbers")
    kind = np.float32 if "float" in name else np.int64
    return Stored(value if name == "value" else np.array(value, kind), node.outputs[0], None)


def _constant_of_shape(found: Translation, node: Node) -> Value:
    shape = found.stored(node.input(0), node.kind)
    # Numbers that a file makes instead of holding them count as its own.
    numbers = filled(shape.numbers, node.attributes.get("value"), found.made)
    found.made += numbers.size
    return Stored(numbers, node.outputs[0], node.outputs[0])


def _shape(found: Translation, node: Node) -> Value:
    given = found.tensor(node.input(0), node.kind)
    places = range(given.rank)[node.attributes.get("start", 0) : node.attributes.get("end", given.rank)]
    return Sizes(tuple(found.size("sym_size.int", given, place) for place in places))


def _gather(found: Translation, node: Node) -> Value:
    sizes, chosen = found.value(node.input(0)), found.stored(node.input(1), node.kind)
    if not isinstance(sizes, Sizes) or chosen.numbers.size != 1:
        raise Refused(f"its Gather chooses among pictures' values; {layers.BRING}")
    return Sizes((sizes.entries[int(chosen.numbers.item())],), chosen.numbers.ndim == 0)


def _slice(found: Translation, node: Node) -> Value:
    sizes = found.value(node.input(0))
    start, end, axis, step = (
        found.whole(node.input(place), node.kind) if node.input(place) else [default]
        for place, default in ((1, 0), (2, 0), (3, 0), (4, 1))
    )
    if not isinstance(sizes, Sizes) or axis != [0] or step != [1]:
        raise Refused(f"its Slice cuts pictures; {layers.BRING}")
    return Sizes(sizes.entries[start[0] : end[0]])


def _cast(found: Translation, node: Node) -> Value:
    given = found.value(node.input(0))
    if isinstance(given, Computed):
        raise Refused("it casts tensors to another type; export it in float32")
    return given


def _sizes(given: Value) -> Sizes:
    if isinstance(given, Stored) and given.numbers.dtype.kind == "i" and given.numbers.size <= MOST_SIZES:
        return Sizes(tuple(["plain", int(each)] for each in given.numbers.ravel()), given.numbers.ndim == 0)
    if not isinstance(given, Sizes):
        raise Refused(f"a shape in it is computed from numbers that are no sizes; {EXPORT_ONNX}")
    return given


Operator = Callable[[Translation, Node], Value]
OPERATORS: dict[str, Operator] = {
    **dict.fromkeys(_POINTWISE, _pointwise), **dict.fromkeys(_TENSORS, _arithmetic),
    **dict.fromkeys(("LeakyRelu", "Elu"), _with_slope),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool"), _global_pool),
    "Conv": layers.convolution, "BatchNormalization": layers.batch_normalisation, "Gemm": layers.linear,
    "MatMul": layers.matrix_product, "MaxPool": layers.max_pool, "AveragePool": layers.average_pool,
    "LRN": layers.local_response, "PRelu": _prelu, "HardSigmoid": _hard_sigmoid, "Clip": _clip, "ReduceMean": _mean,
    "Flatten": _flatten, "Reshape": _reshape, "Transpose": _transpose, "Concat": _concat, "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze, "Pad": _pad, "Dropout": _dropout, "Identity": _copy, "Constant": _constant,
    "ConstantOfShape": _constant_of_shape, "Shape": _shape, "Gather": _gather, "Slice": _slice, "Cast": _cast,
}  # fmt: skip
"""The operators of CNNs. Whatever is not named here is refused."""
