"""ONNX files: exported by torch, built node by node, and those that the `onnx` package ships for its own tests."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
PRESERVE = torch.onnx.TrainingMode.PRESERVE

Numbers = Mapping[str, NDArray[Any]]


def export_onnx(
    network: nn.Module, file: Path, *, channels: int = 1, side: int = 8, in_training: bool = False, **how: Any
) -> Path:
    """As the documents say, unless `how` says otherwise."""
    network.train(in_training)
    settings = {"opset_version": 17, "training": PRESERVE, "do_constant_folding": False, "input_names": ["pictures"]}
    settings |= {"dynamo": False, "dynamic_axes": {"pictures": {0: "batch"}}, **how}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch about its older exporter
        torch.onnx.export(network, (torch.randn(2, channels, side, side),), file, **settings)
    return file


def model(nodes: Sequence[Any], numbers: Numbers, *, opset: int = 17, shape: Sequence[Any] = ("batch", 3, 8, 8)) -> Any:
    """A model from `x` to `y` with initialisers."""
    graph = helper.make_graph(
        nodes, "graph", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(each, name) for name, each in numbers.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def draw(*shape: int) -> NDArray[np.float32]:
    """Numbers for an initialiser."""
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def save(made: Any, file: Path) -> Path:
    file.write_bytes(made.SerializeToString())
    return file
