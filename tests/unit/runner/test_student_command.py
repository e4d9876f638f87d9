"""What is done with an exported student where torch is: measured again, and written in other formats."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from torch import Tensor, nn

from dpk_core.catalogue.datasets import DIGITS
from dpk_core.data.source import load_dataset
from dpk_core.errors import DataFault, InvalidRequest
from dpk_core.models.build import build_model
from dpk_core.models.exported import ExportedModel, unpacked
from dpk_core.models.vet import vet
from dpk_core.runner import student_command
from dpk_core.runner.exporters import CHECK_BATCH, export
from dpk_core.runner.student_command import converted, evaluated, main
from dpk_core.runner.student_folder import StudentFolder, read_student
from tests.unit.exported.networks import excited
from tests.unit.runner.student_folders import DEVIATION, MEAN, write_folder

CPU = torch.device("cpu")
STUDENT = "cifar/resnet8w4"


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return build_model(STUDENT, classes=10, channels=1, seed=3, side=8).eval()


@pytest.fixture
def folder(network: nn.Module, tmp_path: Path) -> Path:
    return write_folder(tmp_path / "student", network, STUDENT)


def test_its_accuracy_is_that_of_the_network_on_the_test_pictures(network: nn.Module, folder: Path) -> None:
    data = load_dataset(DIGITS, None, CPU)
    test = data.read_test()
    pictures_BCHW = test.start_reading(torch.arange(len(test)))()
    with torch.no_grad():
        right_B = network((pictures_BCHW / 255 - MEAN) / DEVIATION).argmax(1) == test.labels
    found = evaluated(folder, "digits", None, CPU)
    assert found["test_score"] == pytest.approx(float(right_B.float().mean()))
    assert (found["test_pictures"], found["same_data"]) == (len(test), True)


def test_data_of_another_fingerprint_are_said_to_be(network: nn.Module, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "s", network, STUDENT, data_fingerprint="sha256:0/split-1")
    assert not evaluated(folder, "digits", None, CPU)["same_data"]


def test_an_upload_is_built_from_the_program_in_its_folder(tmp_path: Path) -> None:
    source, content = excited()
    (tmp_path / "x.pt2").write_bytes(content)
    _, kept = vet("own/x-00000000", "sha256:0", tmp_path / "x.pt2")
    program, state = unpacked(kept)
    model = ExportedModel(program)
    model.take(state, "parameter", "buffer", "constant")
    folder = write_folder(tmp_path / "s", model, "own/x-00000000")
    with pytest.raises(DataFault, match=r"program\.safetensors cannot be read"):
        read_student(folder)
    (folder / "program.safetensors").write_bytes(kept)
    pictures_BCHW = torch.randn(3, 1, 8, 8)
    torch.testing.assert_close(read_student(folder).model(pictures_BCHW), source.eval()(pictures_BCHW))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"num_classes": 7}, "does not hold the weights of cifar/resnet8w4"),
        ({"input_size": [1, 16, 16]}, "digits has 8x8 pictures of 1 channel in 10 classes; the student of "),
        ({"input_size": [3, 8, 8]}, "has not one mean and one std for each of 3 channels"),
        ({"input_size": 8}, "is no configuration of a student"),
        ({"mean": None}, "is no configuration of a student"),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, object], words: str, network: nn.Module, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "student", network, STUDENT, **change)
    with pytest.raises(DataFault) as refused:
        evaluated(folder, "digits", None, CPU)
    assert words in str(refused.value)


@pytest.mark.parametrize("content", [None, "", "[]", "[" * 10**5])
def test_a_folder_of_something_else(content: str | None, folder: Path) -> None:
    if content is None:
        (folder / "config.json").unlink()
    else:
        (folder / "config.json").write_text(content)
    with pytest.raises(DataFault, match=r"config.json (cannot be read|is no JSON)"):
        read_student(folder)


def test_an_unknown_architecture_offers_the_nearest(network: nn.Module, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="Nearest valid choice: cifar/resnet8w"):
        read_student(write_folder(tmp_path / "s", network, "cifar/resnet8w5"))


def test_a_gpu_rounds_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def noted(*_: object) -> dict[str, bool]:
        return {"products": torch.backends.cuda.matmul.allow_tf32, "convolutions": torch.backends.cudnn.allow_tf32}

    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)  # torch's own default
    monkeypatch.setattr(student_command, "evaluated", noted)
    main(["evaluate", str(folder), "digits"])
    assert json.loads(capsys.readouterr().out) == {"products": False, "convolutions": False}


def test_a_refusal_is_the_answer(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["evaluate", str(folder), "digit"])
    assert "Nearest valid choice: digits" in json.loads(capsys.readouterr().out)["refused"]
    main(["evaluate", str(folder), "digits", "--device", "cuda:99"])
    assert "has no device 'cuda:99'" in json.loads(capsys.readouterr().out)["refused"]


@pytest.mark.filterwarnings("default")  # of torch's exporters about themselves
def test_its_other_formats_give_its_scores_for_any_batch(network: nn.Module, folder: Path) -> None:
    assert converted(folder, ["pt2", "onnx"]) == {"files": ["model.pt2", "model.onnx"]}
    pictures_BCHW = torch.randn(7, 1, 8, 8)
    expected = network(pictures_BCHW)
    program = torch.export.load(folder / "model.pt2").module()
    torch.testing.assert_close(program(pictures_BCHW), expected)
    (scores,) = ReferenceEvaluator(onnx.load(folder / "model.onnx")).run(None, {"pictures": pictures_BCHW.numpy()})
    torch.testing.assert_close(torch.tensor(scores), expected, rtol=1e-3, atol=1e-4)


class Moody(nn.Module):
    """Gives other scores each time, as no export could repeat."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = itertools.count()

    def forward(self, pictures_BCHW: Tensor) -> Tensor:
        return pictures_BCHW.flatten(1)[:, :10] + next(self.calls)


class OfThree(nn.Module):
    """Takes one number of pictures alone."""

    def forward(self, pictures_BCHW: Tensor) -> Tensor:
        return pictures_BCHW.reshape(2, 64)[:, :10]


@pytest.mark.parametrize(("model", "words"), [(Moody(), "scores differ"), (OfThree(), "cannot be exported as")])
def test_a_file_that_would_not_be_the_student_is_not_written(model: nn.Module, words: str, tmp_path: Path) -> None:
    student = StudentFolder(
        model=model.eval(), architecture="own/odd", classes=10, channels=1, height=8, width=8, mean=(0.0,),
        deviation=(1.0,), fingerprint=None,
    )  # fmt: skip
    assert CHECK_BATCH == 3
    with pytest.raises(DataFault, match=words):
        export(student, tmp_path, "pt2")
    assert not (tmp_path / "model.pt2").exists()
