"""Networks from ONNX files: the scores of the ONNX reference, every number trained, or a refusal with what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from torch import Tensor, nn

from dpk_core.exported import onnx_file
from dpk_core.exported.archive import Refused
from dpk_core.exported.onnx_file import open_onnx
from dpk_core.exported.onnx_graph import SOFTMAX_LEFT_OUT, translate
from dpk_core.models.exported import ExportedModel, unpacked
from dpk_core.models.vet import vet
from tests.unit.exported.networks import ExcitedNet, excited
from tests.unit.exported.onnx_files import LIGHT, PRESERVE, draw, export_onnx, model, save

NAME, IDENTITY = "own/mine-00000000", "sha256:0"


def rebuilt(file: Path) -> ExportedModel:
    program, state = unpacked(vet(NAME, IDENTITY, file)[1])
    made = ExportedModel(program)
    made.take(state, "parameter", "buffer", "constant")
    return made.eval()


def translated(made: Any, file: Path) -> ExportedModel:
    """Without the checks of a training."""
    program, numbers, _ = translate(open_onnx(save(made, file)))
    found = ExportedModel(program)
    found.take({name: torch.from_numpy(np.array(each)) for name, each in numbers.items()}, "parameter", "buffer")
    return found.eval()


def refusal(file: Path) -> str:
    with pytest.raises(Refused) as raised:
        vet(NAME, IDENTITY, file)
    return str(raised.value)


def in_mode(network: nn.Module, pictures_BCHW: Tensor, *, training: bool) -> Tensor:
    network.train(training)
    torch.manual_seed(1)
    scores: Tensor = network(pictures_BCHW)
    return scores


@pytest.mark.parametrize("training", [False, True])
def test_it_computes_and_learns_what_its_source_does(tmp_path: Path, training: bool) -> None:
    source = ExcitedNet()
    source.drop.p = 0.0 if not training else 0.2  # exported in evaluation, a file has no dropout
    made = rebuilt(export_onnx(source, tmp_path / "x.onnx", in_training=training))
    assert made.state_dict().keys() == source.state_dict().keys()
    pictures_BCHW = torch.randn(5, 1, 8, 8)
    for mode in (False, True, False):
        ours, theirs = (in_mode(network, pictures_BCHW, training=mode) for network in (made, source))
        torch.testing.assert_close(ours, theirs)
    in_mode(made, pictures_BCHW, training=True).sum().backward()
    in_mode(source, pictures_BCHW, training=True).sum().backward()
    gradients = {name: parameter.grad for name, parameter in source.named_parameters()}
    for name, parameter in made.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[name])
    for key, value in source.state_dict().items():
        if not key.endswith("num_batches_tracked"):  # no part of an ONNX file
            torch.testing.assert_close(made.state_dict()[key], value)


def test_its_card_is_that_of_the_same_network_as_a_program(tmp_path: Path) -> None:
    (tmp_path / "x.pt2").write_bytes(excited()[1])
    program, _ = vet(NAME, IDENTITY, tmp_path / "x.pt2")
    file, _ = vet(NAME, IDENTITY, export_onnx(excited()[0], tmp_path / "x.onnx"))
    assert file == program


def test_parameters_are_drawn_by_layer(tmp_path: Path) -> None:
    leaves = {leaf.name: leaf for leaf in rebuilt(export_onnx(excited()[0], tmp_path / "x.onnx")).program.leaves}
    assert leaves["stages.2.conv2.weight"].draw == "convolution"
    assert (leaves["head.weight"].draw, leaves["head.bias"].fan_of) == ("linear", "head.weight")
    assert (leaves["stem.1.weight"].draw, leaves["stem.1.bias"].draw) == ("one", "zero")


def node(kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
    return helper.make_node(kind, ["x", *inputs], ["y", *(f"y{place}" for place in range(1, outputs))], **attributes)


ONES = np.ones(3, np.float32)
SINGLE: dict[str, tuple[Any, dict[str, Any]]] = {
    "Conv": (node("Conv", "w", "b", group=3, strides=[2, 1], dilations=[1, 2], pads=[1, 2, 1, 2]),
             {"w": draw(6, 1, 3, 3), "b": draw(6)}),
    "Conv, uneven border": (node("Conv", "w", pads=[0, 1, 2, 1]), {"w": draw(4, 3, 3, 3)}),
    "BatchNormalization": (node("BatchNormalization", "s", "b", "m", "v", epsilon=0.01),
                           {"s": draw(3), "b": draw(3) + 1, "m": draw(3) + 2, "v": abs(draw(3)) + 3}),
    "MaxPool": (node("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]), {}),
    "MaxPool, uneven border": (node("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1]), {}),
    "MaxPool, rounded up": (node("MaxPool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1), {}),
    "AveragePool": (node("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1]), {}),
    "AveragePool, border counted": (
        node("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1), {}
    ),
    "AveragePool, uneven border": (node("AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1]), {}),
    "GlobalMaxPool": (node("GlobalMaxPool"), {}),
    "LRN": (node("LRN", size=5, alpha=0.3, beta=0.6, bias=1.5), {}),
    "LRN of an even number": (node("LRN", size=2, alpha=0.3), {}),
    "HardSigmoid": (node("HardSigmoid", alpha=0.3), {}),
    "HardSwish": (node("HardSwish"), {}),
    "LeakyRelu": (node("LeakyRelu", alpha=0.2), {}),
    "Elu": (node("Elu", alpha=0.7), {}),
    "PRelu": (node("PRelu", "w"), {"w": draw(3, 1, 1)}),
    "Clip": (node("Clip", "low", "high"), {"low": np.float32(-0.5), "high": np.float32(0.7)}),
    "Clip above": (node("Clip", "", "high"), {"high": np.float32(0.7)}),
    "Mul by a number": (node("Mul", "w"), {"w": np.float32(3)}),
    "Mul by a parameter": (node("Mul", "w"), {"w": draw(3, 1, 1)}),
    "Add": (node("Add", "w"), {"w": draw(1, 3, 1, 1)}),
    "Sub from a number": (helper.make_node("Sub", ["w", "x"], ["y"]), {"w": np.float32(3)}),
    "Div of a number": (helper.make_node("Div", ["w", "x"], ["y"]), {"w": np.float32(3)}),
    "Pad": (node("Pad", "p", "v"), {"p": np.array([0, 0, 1, 2, 0, 0, 3, 0]), "v": np.float32(0.5)}),
    "Reshape": (node("Reshape", "s"), {"s": np.array([0, 3, -1])}),
    "Transpose": (node("Transpose", perm=[0, 2, 3, 1]), {}),
    "ReduceMean": (node("ReduceMean", axes=[2, -1], keepdims=0), {}),
    "Dropout": (node("Dropout", "r"), {"r": np.float32(0.3)}),
}  # fmt: skip


@pytest.mark.parametrize("name", SINGLE)
def test_an_operator_is_what_the_reference_does(name: str, tmp_path: Path) -> None:
    made = model([SINGLE[name][0]], SINGLE[name][1])
    pictures = draw(3, 3, 8, 8)
    (expected,) = ReferenceEvaluator(made).run(None, {"x": pictures})
    found = translated(made, tmp_path / "x.onnx")(torch.from_numpy(pictures))
    torch.testing.assert_close(found, torch.from_numpy(np.array(expected)).flatten(1), rtol=1e-4, atol=1e-5)


def test_shapes_that_are_computed_from_the_batch(tmp_path: Path) -> None:
    """What `view(x.size(0), groups, -1, …)` becomes."""
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "0"], ["b"]),
        helper.make_node("Gather", ["s", "1"], ["c"]),
        helper.make_node("Mul", ["c", "two"], ["cc"]),
        *(helper.make_node("Unsqueeze", [name, "axis"], [f"{name}1"]) for name in ("b", "cc")),
        helper.make_node("Concat", ["b1", "cc1", "rest"], ["shape"], axis=0),
        helper.make_node("Reshape", ["x", "shape"], ["r"]),
        helper.make_node("MatMul", ["r", "w"], ["m"]),
        helper.make_node("Add", ["bias", "m"], ["y"]),
    ]
    numbers = {
        "0": np.array(0), "1": np.array(1), "two": np.array(2), "axis": np.array([0]), "rest": np.array([32]),
        "w": draw(32, 5), "bias": draw(5),
    }  # fmt: skip
    made, pictures = model(nodes, numbers), draw(3, 3, 8, 8)
    (expected,) = ReferenceEvaluator(made).run(None, {"x": pictures})
    network = translated(made, tmp_path / "x.onnx")
    torch.testing.assert_close(network(torch.from_numpy(pictures)), torch.from_numpy(expected).flatten(1))
    assert [step.name for step in network.program.steps if step.kind == "aten"][-2:] == [
        "linear.default", "flatten.using_ints",
    ]  # fmt: skip


class TestFilesThatNobodyHereMade:
    """The graphs of published networks, of opset 9, fixed to a batch of one, their weights made from shapes."""

    @pytest.mark.parametrize(
        "name", ["squeezenet", "shufflenet", "inception_v1", "inception_v2", "densenet121", "resnet50"]
    )
    def test_they_give_the_scores_that_are_shipped_with_them(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(onnx_file, "MOST_MADE", 2**25)
        program, numbers, notes = translate(open_onnx(LIGHT / f"light_{name}.onnx"))
        network = ExportedModel(program).eval()
        network.take({key: torch.from_numpy(np.array(each)) for key, each in numbers.items()}, "parameter", "buffer")
        pictures_BCHW = (torch.arange(3 * 224 * 224).reshape(1, 3, 224, 224) / (3 * 224 * 224)).expand(2, -1, -1, -1)
        with torch.no_grad():
            scores_BK = network(pictures_BCHW)
        ends_in_softmax = notes == (SOFTMAX_LEFT_OUT,)
        assert ends_in_softmax == (name != "densenet121")
        found_BK = scores_BK.softmax(1) if ends_in_softmax else scores_BK
        expected = numpy_helper.to_array(onnx.load_tensor(LIGHT / f"light_{name}_output_0.pb")).reshape(1, -1)
        torch.testing.assert_close(found_BK, torch.from_numpy(expected.copy()).expand(2, -1), rtol=1e-3, atol=1e-5)
        stored = sum(parameter.numel() for parameter in network.parameters())
        stored += sum(buffer.numel() for key, buffer in network.named_buffers() if "running" in key)
        assert stored == sum(each.size for each in numbers.values())

    def test_a_whole_check_lets_one_in(self) -> None:
        document, _ = vet(NAME, IDENTITY, LIGHT / "light_shufflenet.onnx")
        assert [(channels, stride) for _, channels, stride in document.card["taps"]] == [
            (24, 2), (112, 4), (136, 8), (272, 16), (544, 32),
        ]  # fmt: skip
        assert len(document.weights["head"]) == 2
        assert document.notes == (SOFTMAX_LEFT_OUT,)

    @pytest.mark.parametrize("name", ["vgg19", "bvlc_alexnet", "zfnet512"])
    def test_a_small_file_does_not_ask_for_much_memory(self, name: str) -> None:
        assert "make more than 4,194,304 numbers" in refusal(LIGHT / f"light_{name}.onnx")


class TestWhatToExport:
    HOW = "dynamo=False, opset_version=17, training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False"

    @pytest.mark.parametrize(
        "how",
        [
            {"training": torch.onnx.TrainingMode.EVAL, "do_constant_folding": True},
            {"dynamo": True, "dynamic_axes": None, "dynamic_shapes": ({0: torch.export.Dim("batch")},), "training":
             torch.onnx.TrainingMode.EVAL, "external_data": False, "verbose": False},
        ],
        ids=["older exporter", "newer exporter"],
    )  # fmt: skip
    @pytest.mark.filterwarnings("default")  # of torch's newer exporter about itself
    def test_folded_batch_normalisation_is_refused(self, how: dict[str, Any], tmp_path: Path) -> None:
        said = refusal(export_onnx(excited()[0], tmp_path / "x.onnx", **how))
        assert "folds batch normalisation" in said
        assert self.HOW in said

    def test_attention_is_refused(self, tmp_path: Path) -> None:
        class Attending(nn.Module):
            def forward(self, pictures: Tensor) -> Tensor:
                rows = pictures.flatten(2)
                return (rows @ rows.transpose(1, 2)).flatten(1)

        said = refusal(export_onnx(Attending(), tmp_path / "x.onnx"))
        assert "MatMul" in said
        assert "weights or settings that are computed from pictures" in said

    def test_an_operator_beyond_cnns_is_named(self, tmp_path: Path) -> None:
        said = refusal(save(model([node("Erf")], {}), tmp_path / "x.onnx"))
        assert "uses the operator 'Erf', which is not among those of CNNs; bring it as .pt2" in said

    def test_numbers_that_would_not_be_trained_are_refused(self, tmp_path: Path) -> None:
        gate = [helper.make_node("Sub", ["x", "mean"], ["y"])]
        assert "no parameter that is added or multiplied by" in refusal(
            save(model(gate, {"mean": draw(3, 1, 1)}), tmp_path / "x.onnx")
        )
        unused = save(model([node("Relu")], {"lost": draw(3)}), tmp_path / "y.onnx")
        assert "'lost' would not be trained" in refusal(unused)

    def test_shared_weights_are_refused(self, tmp_path: Path) -> None:
        nodes = [
            helper.make_node("Conv", ["x", "w"], ["z"]),
            helper.make_node("Identity", ["w"], ["again"]),
            helper.make_node("Conv", ["z", "again"], ["y"]),
        ]
        assert "belong to several layers" in refusal(save(model(nodes, {"w": draw(3, 3, 1, 1)}), tmp_path / "x.onnx"))

    def test_statistics_that_would_never_be_learned_are_refused(self, tmp_path: Path) -> None:
        norm, numbers = SINGLE["BatchNormalization"]
        still = node("BatchNormalization", *norm.input[1:], momentum=1.0)
        assert "would never be learned" in refusal(save(model([still], numbers), tmp_path / "x.onnx"))

    def test_a_pool_with_gaps_is_refused(self, tmp_path: Path) -> None:
        gaps = node("AveragePool", kernel_shape=[2, 2], strides=[2, 2], dilations=[2, 2])
        assert "leaves out pixels" in refusal(save(model([gaps], {}, opset=19), tmp_path / "x.onnx"))

    def test_a_batch_that_mixes_its_pictures_is_refused(self, tmp_path: Path) -> None:
        nodes = [
            helper.make_node("ReduceMean", ["x"], ["m"], axes=[0], keepdims=1),
            helper.make_node("Sub", ["x", "m"], ["z"]),
            helper.make_node("Conv", ["z", "w"], ["y"]),
        ]
        file = save(model(nodes, {"w": draw(2, 3, 8, 8)}), tmp_path / "x.onnx")
        assert "depend on the other pictures of a batch" in refusal(file)


def test_the_older_exporter_is_told_to_preserve() -> None:
    """The words in the message are torch's own."""
    assert str(PRESERVE) == "TrainingMode.PRESERVE"
