"""ONNX files that mean harm, or lie: each is refused, and no file beside it is opened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import AttributeProto, GraphProto, TensorProto, helper

from dpk_core.exported import onnx_file
from dpk_core.exported.archive import Refused
from dpk_core.models.vet import vet
from tests.unit.exported.onnx_files import draw, model, save

Change = Callable[[Any], object]


def sound() -> Any:
    """A network that is taken."""
    nodes = [
        helper.make_node("Conv", ["x", "conv.weight"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "head.weight"], ["y"], transB=1),
    ]
    return model(nodes, {"conv.weight": draw(4, 3, 3, 3), "head.weight": draw(10, 4)})


def weight(**fields: Any) -> Change:
    """Other fields in the first initialiser."""

    def apply(made: Any) -> None:
        tensor = made.graph.initializer[0]
        for name, value in fields.items():
            if isinstance(value, list):
                tensor.ClearField(name)
                getattr(tensor, name).extend(value)
            else:
                setattr(tensor, name, value)

    return apply


def external(made: Any) -> None:
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../../etc/passwd")


def hidden_external(made: Any) -> None:
    made.graph.initializer[0].external_data.add(key="location", value="/etc/passwd")


def first(**fields: Any) -> Change:
    """Another first node."""

    def apply(made: Any) -> None:
        for name, value in fields.items():
            setattr(made.graph.node[0], name, value)

    return apply


def attribute(**named: Any) -> Change:
    return lambda made: made.graph.node[0].attribute.extend(
        helper.make_attribute(name, value) for name, value in named.items()
    )


def before(*nodes: Any) -> Change:
    """Nodes at the beginning."""

    def apply(made: Any) -> None:
        rest = list(made.graph.node)
        del made.graph.node[:]
        made.graph.node.extend([*nodes, *rest])

    return apply


def side(*sizes: int) -> Change:
    def apply(made: Any) -> None:
        for dimension, size in zip(made.graph.input[0].type.tensor_type.shape.dim, sizes, strict=True):
            dimension.dim_value = size

    return apply


def doubled(made: Any) -> None:
    """Lists of sizes that double with each node."""
    nodes = [helper.make_node("Shape", ["x"], ["s0"])]
    nodes += [helper.make_node("Concat", [f"s{n}", f"s{n}"], [f"s{n + 1}"], axis=0) for n in range(60)]
    before(*nodes)(made)


def made_of_shapes(made: Any) -> None:
    """Many tensors, each just small enough."""
    shape = helper.make_node("Constant", [], ["shape"], value=helper.make_tensor("v", TensorProto.INT64, [1], [2**21]))
    before(shape, *(helper.make_node("ConstantOfShape", ["shape"], [f"m{n}"]) for n in range(5)))(made)


CASES: dict[str, tuple[Change, str]] = {
    # Other files, other code.
    "a path to another file": (external, "lies in another file"),
    "a path beside numbers": (hidden_external, "lies in another file"),
    "a function": (lambda made: made.functions.add(name="f"), "it holds functions"),
    "a sparse tensor": (lambda made: made.graph.sparse_initializer.add(), "it holds functions, sparse"),
    "an operator of another domain": (first(domain="com.evil"), "operators of the domain 'com.evil'"),
    "an operator of Python": (first(op_type="PyOp"), "the operator 'PyOp'"),
    "a loop": (first(op_type="Loop"), "the operator 'Loop'"),
    "a graph within": (attribute(body=GraphProto()), "holds a graph"),
    "an attribute by reference": (
        lambda made: made.graph.node[0].attribute.append(
            AttributeProto(name="group", type=AttributeProto.INT, ref_attr_name="x")
        ),
        "holds a graph or another attribute",
    ),
    # Numbers and shapes that lie.
    "more numbers than bytes": (weight(dims=[10**6, 3, 3, 3]), "has not as many bytes"),
    "a shape without end": (weight(dims=[2**62, 2**62, 3, 3]), "has not as many bytes"),
    "a negative size": (weight(dims=[-4, 3, 3, 3]), "natural numbers"),
    "many dimensions": (weight(dims=[1] * 60), "natural numbers"),
    "a type of tomorrow": (weight(data_type=99), "of a type that is not taken"),
    "texts as numbers": (weight(data_type=TensorProto.STRING), "of a type that is not taken"),
    "numbers that are not finite": (weight(raw_data=np.full(108, np.nan, np.float32).tobytes()), "not finite"),
    "the same name twice": (
        lambda made: made.graph.initializer.append(made.graph.initializer[0]), "two initialisers are called"
    ),
    "weights for another layer": (weight(dims=[108, 1, 1, 1]), "it does not run"),
    "sizes that double": (doubled, "a shape in it has 128 sizes"),
    "numbers made from shapes": (made_of_shapes, "make more than 4,194,304 numbers"),
    "a border without end": (attribute(pads=[2**40] * 4), "four natural numbers"),
    "strides of nothing": (attribute(strides=[0, 0]), "it does not run"),
    "groups of nothing": (attribute(group=0), "it does not run"),
    "dilations without end": (attribute(dilations=[2**31, 2**31]), "it does not run"),
    # Graphs that do not hold together.
    "a value from nowhere": (lambda made: made.graph.node[0].input.__setitem__(0, "n"), "before anything gives it"),
    "a circle": (lambda made: made.graph.node[0].input.__setitem__(0, "r"), "before anything gives it"),
    "a value twice": (lambda made: made.graph.node[1].output.__setitem__(0, "c"), "two values in its graph"),
    "the pictures as a result": (lambda made: made.graph.node[0].output.__setitem__(0, "x"), "two values in its"),
    "a node without inputs": (lambda made: made.graph.node[1].ClearField("input"), "before anything gives it"),
    "a node without outputs": (lambda made: made.graph.node[1].ClearField("output"), "not in the form"),
    "an output that nothing gives": (lambda made: setattr(made.graph.output[0], "name", "z"), "before anything gives"),
    "two inputs": (lambda made: made.graph.input.append(helper.make_tensor_value_info("z", 1, [1])), "takes 2 inputs"),
    "no graph": (lambda made: made.ClearField("graph"), "takes 0 inputs"),
    "an opset of tomorrow": (lambda made: setattr(made.opset_import[0], "version", 99), "of opset 99"),
    "no opset": (lambda made: made.ClearField("opset_import"), "of opset 0"),
    "pictures of five channels": (side(1, 5, 8, 8), "neither one channel nor three"),
    "oblong pictures": (side(1, 3, 8, 9), "pictures here are square"),
    "huge pictures": (side(1, 3, 2**20, 2**20), "it does not run"),
    "names of Python": (
        lambda made: [setattr(made.graph.initializer[0], "name", "__class__.weight"),
                      made.graph.node[0].input.__setitem__(1, "__class__.weight")],
        "it does not run",
    ),
}  # fmt: skip


def refusal(file: Path) -> str:
    with pytest.raises(Refused) as raised:
        vet("own/evil-00000000", "sha256:0", file)
    return str(raised.value)


def test_the_file_that_they_were_is_sound(tmp_path: Path) -> None:
    assert vet("own/x-00000000", "sha256:0", save(sound(), tmp_path / "x.onnx"))[0].count == 108


@pytest.mark.parametrize("name", CASES)
def test_what_it_says_is_not_believed(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change, words = CASES[name]
    made = sound()
    change(made)
    file = save(made, tmp_path / "evil.onnx")
    opened: list[object] = []
    monkeypatch.setattr("onnx.external_data_helper.load_external_data_for_tensor", lambda *given: opened.append(given))
    assert words in refusal(file)
    assert opened == []


def test_too_many_nodes_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_file, "MOST_NODES", 3)
    assert "at most 3 are read" in refusal(save(sound(), tmp_path / "evil.onnx"))


@pytest.mark.parametrize("content", [b"\x08", b"\x08\x08\x3a\xff\xff\xff\xff\x7f", b"\x08" * 1000, b"\x08\x08"])
def test_what_only_begins_like_onnx(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "evil.onnx"
    file.write_bytes(content)
    assert refusal(file)
