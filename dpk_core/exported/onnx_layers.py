"""ONNX operators that have weights or look at neighbouring pixels, as steps of a program. CNNs only.

Each function takes the translation and a node, adds steps, and gives what the node's first output is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from dpk_core.exported.archive import Refused, never_learned
from dpk_core.exported.onnx_file import EXPORT_ONNX, Array, Node
from dpk_core.exported.onnx_values import Computed, Stored, Translation, Value

FOLDED = (
    "its convolutions have names that the exporter gives when it folds batch normalisation into them, and folded it "
    f"cannot be trained; {EXPORT_ONNX}"
)


def convolution(graph: Translation, node: Node) -> Value:
    """`Conv` in two dimensions."""
    given, weight = graph.tensor(node.input(0), node.kind), graph.stored(node.input(1), node.kind)
    bias = graph.stored(node.input(2), node.kind) if node.input(2) else None
    if weight.name.startswith("onnx::Conv") or (bias is not None and bias.name.endswith(".weight_bias")):
        raise Refused(FOLDED)
    if weight.numbers.ndim != 4:
        raise Refused(f"its {node.kind} has a weight of {weight.numbers.ndim} dimensions; those of pictures have 4")
    module = graph.module(node, weight)
    arguments = [graph.leaf(weight, module, "weight", weight.numbers), _bias(graph, bias, module)]
    given, padding = _padded(graph, node, given, 0.0)
    return graph.step(
        "conv2d.default", given, *arguments, _pair(node, "strides"), padding, _pair(node, "dilations"),
        node.attributes.get("group", 1),
    )  # fmt: skip


def batch_normalisation(graph: Translation, node: Node) -> Value:
    """`BatchNormalization`, whether it was exported in training or in evaluation."""
    given, weight = graph.tensor(node.input(0), node.kind), graph.stored(node.input(1), node.kind)
    if node.attributes.get("spatial", 1) != 1:
        raise Refused("a batch normalisation in it is not by channel")
    module = graph.module(node, weight)
    for place, part in enumerate(("weight", "bias", "running_mean", "running_var"), 1):
        stored = graph.stored(node.input(place), node.kind)
        if stored.numbers.shape != weight.numbers.shape or stored.numbers.ndim != 1:
            raise Refused(f"its batch normalisation {module!r} has numbers of different shapes")
        graph.leaf(stored, module, part, stored.numbers, statistic=part.startswith("running"))
    # ONNX's momentum is what the running statistics keep of themselves, torch's is what they take.
    momentum = round(1 - float(node.attributes.get("momentum", 0.9)), 7)
    if not momentum:
        raise never_learned(module)
    settings = {"momentum": momentum, "eps": float(node.attributes.get("epsilon", 1e-5))}
    return graph.step(module, given, kind="norm", rank=given.rank, **settings)


def linear(graph: Translation, node: Node) -> Value:
    """`Gemm` with a stored matrix."""
    given, weight = graph.tensor(node.input(0), node.kind), graph.stored(node.input(1), node.kind)
    attributes = node.attributes
    plain = attributes.get("alpha", 1.0) == attributes.get("beta", 1.0) == 1.0 and not attributes.get("transA", 0)
    if not plain or weight.numbers.ndim != 2:
        raise Refused(f"its {node.kind} is no linear layer: its factors are not 1, or its input is turned")
    numbers = weight.numbers if attributes.get("transB", 0) else weight.numbers.T.copy()
    module = graph.module(node, weight)
    bias = graph.stored(node.input(2), node.kind) if node.input(2) else None
    arguments = [graph.leaf(weight, module, "weight", numbers), _bias(graph, bias, module)]
    return graph.step("linear.default", given, *arguments, rank=2)


def matrix_product(graph: Translation, node: Node) -> Value:
    """`MatMul` with a stored matrix: a linear layer without bias."""
    given, weight = graph.tensor(node.input(0), node.kind), graph.stored(node.input(1), node.kind)
    if weight.numbers.ndim != 2:
        raise Refused(f"its {node.kind} is no linear layer, and networks with attention cannot come as ONNX; {BRING}")
    module = graph.module(node, weight)
    matrix = graph.leaf(weight, module, "weight", weight.numbers.T.copy())
    return graph.step("linear.default", given, matrix, ["plain", None], rank=given.rank)


BRING = "bring it as .pt2"


def take_bias(graph: Translation, given: Computed, stored: Stored) -> bool:
    """Makes `stored` the bias of the linear layer that gave the tensor, where that has none."""
    last = graph.steps[-1] if graph.steps else None
    if last is None or last.name != "linear.default" or last.outputs != (given.number,) or stored.numbers.ndim != 1:
        return False
    leaf = next(leaf for leaf in graph.leaves if leaf.value == last.inputs[1][1])
    if last.inputs[2] != ["plain", None] or stored.numbers.shape != leaf.shape[:1]:
        return False
    bias = graph.leaf(stored, leaf.name.removesuffix(".weight"), "bias", stored.numbers)
    graph.steps[-1] = replace(last, inputs=(*last.inputs[:2], bias))
    return True


def max_pool(graph: Translation, node: Node) -> Value:
    """`MaxPool` without indices."""
    given, kernel = graph.tensor(node.input(0), node.kind), _kernel(node)
    given, padding = _padded(graph, node, given, -math.inf)
    return graph.step(
        "max_pool2d.default", given, list(kernel), _pair(node, "strides"), padding, _pair(node, "dilations"),
        bool(node.attributes.get("ceil_mode", 0)),
    )  # fmt: skip


def average_pool(graph: Translation, node: Node) -> Value:
    """`AveragePool`; where the border is uneven and does not count, a sum of pixels over a count of pixels."""
    given, kernel = graph.tensor(node.input(0), node.kind), _kernel(node)
    if _pair(node, "dilations") != [1, 1]:
        raise Refused("an average pool in it leaves out pixels between those that it takes the mean of (dilations)")
    counts, ceil = bool(node.attributes.get("count_include_pad", 0)), bool(node.attributes.get("ceil_mode", 0))
    padded, padding = _padded(graph, node, given, 0.0)
    settings = (list(kernel), _pair(node, "strides"), padding, ceil)
    if padded is given or counts:
        return graph.step("avg_pool2d.default", padded, *settings, counts, None)
    ones, _ = _padded(graph, node, graph.step("ones_like.default", given), 0.0)
    sums, parts = (graph.step("avg_pool2d.default", each, *settings, True, None) for each in (padded, ones))
    return graph.step("div.Tensor", sums, parts)


def local_response(graph: Translation, node: Node) -> Value:
    """`LRN`: over neighbouring channels, by a pool along them."""
    given, size = graph.tensor(node.input(0), node.kind), int(node.attributes["size"])
    alpha, beta, bias = (float(node.attributes.get(name, default)) for name, default in (
        ("alpha", 1e-4), ("beta", 0.75), ("bias", 1.0)
    ))  # fmt: skip
    squares = graph.step("flatten.using_ints", graph.step("mul.Tensor", given, given), 2, -1, rank=3)
    rows = graph.step("unsqueeze.default", squares, 1)
    padded = graph.step("constant_pad_nd.default", rows, [0, 0, (size - 1) // 2, size // 2], 0.0)
    means = graph.step("avg_pool2d.default", padded, [size, 1], [1, 1], [0, 0], False, True, None)
    scaled = graph.step("mul.Scalar", graph.step("squeeze.dim", means, 1, rank=3), alpha, rank=3)
    powers = graph.step("pow.Tensor_Scalar", graph.step("add.Scalar", scaled, bias, rank=3), beta, rank=3)
    return graph.step("div.Tensor", given, graph.step("reshape_as.default", powers, given))


def _bias(graph: Translation, bias: Stored | None, module: str) -> list[object]:
    if bias is None or not bias.numbers.size or (bias.source is None and not bias.numbers.any()):
        return ["plain", None]
    return graph.leaf(bias, module, "bias", bias.numbers.ravel())


def _kernel(node: Node) -> Sequence[int]:
    kernel = node.attributes.get("kernel_shape", [])
    if len(kernel) != 2 or node.attributes.get("storage_order", 0) or any(node.outputs[1:]):
        raise Refused(f"its {node.kind} does not pool pictures, or gives indices")
    return tuple(kernel)


def _pair(node: Node, name: str) -> list[int]:
    found = node.attributes.get(name, [1, 1])
    if len(found) != 2:
        raise Refused(f"its {node.kind} has {name} {found}; those of pictures are two")
    return list(found)


def _padded(graph: Translation, node: Node, given: Computed, value: float) -> tuple[Computed, list[int]]:
    """The input with an uneven border around it, and the even padding that is left to the operator."""
    automatic, (top, left, bottom, right) = node.attributes.get("auto_pad", "NOTSET"), _pads(node)
    if automatic not in ("NOTSET", "VALID"):
        raise Refused(f"its {node.kind} pads by {automatic}; export it with explicit pads")
    if (top, left) == (bottom, right):
        return given, [top, left]
    return graph.step("constant_pad_nd.default", given, [left, right, top, bottom], value), [0, 0]


def _pads(node: Node) -> Array | list[int]:
    pads = list(node.attributes.get("pads", [0, 0, 0, 0]))
    if len(pads) != 4 or any(not 0 <= each < 2**16 for each in pads):
        raise Refused(f"its {node.kind} has the pads {pads[:8]}; those of pictures are four natural numbers")
    return pads
