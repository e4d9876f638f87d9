"""PyTorch files: read by a child process that gave away what it does not need, and taken as safetensors are."""

from __future__ import annotations

import hashlib
import os
import subprocess
from argparse import Namespace
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from dpk_core.catalogue import pytorch_files
from dpk_core.catalogue.pytorch_files import as_safetensors
from dpk_core.catalogue.weights import find_weights
from dpk_core.models.build import build_model
from dpk_core.models.unpickle import read, tensors_of
from dpk_core.models.weights import build_with_weights

MODEL = "cifar/resnet8w4"


def state(seed: int = 0) -> dict[str, Any]:
    return build_model(MODEL, classes=10, channels=1, seed=seed).state_dict()


class Payload:
    """What a full unpickler would run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.path}",)


def test_a_checkpoint_is_taken_under_its_own_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    half = {f"module.{name}": each.half() if each.is_floating_point() else each for name, each in state().items()}
    bare = {name: each for name, each in half.items() if not name.endswith("num_batches_tracked")}
    torch.save({"epoch": 3, "args": Namespace(lr=0.1), "state_dict": OrderedDict(bare)}, tmp_path / "a.pth")
    found = find_weights(MODEL, "file:a.pth", tmp_path, "weights")
    assert found is not None
    assert found.start.identity == f"sha256:{hashlib.sha256((tmp_path / 'a.pth').read_bytes()).hexdigest()}"
    assert (found.made_for.classes, found.made_for.prefix) == (10, "state_dict/module.")
    # What it holds is kept: no second child is started.
    monkeypatch.setattr(subprocess, "run", None)
    built = build_with_weights(MODEL, classes=10, channels=1, seed=1, weights=tmp_path / "a.pth")
    assert torch.equal(built.model.state_dict()["head.weight"], state()["head.weight"].half().float())
    (note,) = built.notes
    assert note.startswith("Of the checkpoint a.pth the entry 'state_dict' was taken. The names")
    assert note.endswith("begin with 'module.', which was left out.")


def test_a_hostile_file_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    torch.save({"state_dict": state(), "x": Payload(tmp_path / "ran")}, tmp_path / "a.bin")
    with pytest.raises(ValueError, match=r"holds (posix|nt)\.system, which is not read, .* save the state dict alone"):
        read(tmp_path / "a.bin")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("number", [np.float64(0.7), np.float32(0.7), np.int64(3), np.bool_(True)])
def test_numbers_of_numpy_beside_the_weights_are_passed_over(tmp_path: Path, number: object) -> None:
    torch.save({"model": state(), "best": number, "args": Namespace(best=number)}, tmp_path / "a.pth")
    assert {f"model/{name}" for name in state()} == set(read(tmp_path / "a.pth"))


def test_objects_in_an_array_of_numpy_are_not(tmp_path: Path) -> None:
    torch.save({"model": state(), "x": np.array([Payload(tmp_path / "ran")], object)}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match="which is not read"):
        read(tmp_path / "a.pth")
    assert not (tmp_path / "ran").exists()


def test_a_server_without_torch_says_how_to_convert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(state(), tmp_path / "a.pt")

    def without_torch(*_: object, **__: object) -> object:
        return subprocess.CompletedProcess((), 1, b"", b"ModuleNotFoundError: No module named 'torch'")

    monkeypatch.setattr(pytorch_files.subprocess, "run", without_torch)
    with pytest.raises(ValueError, match=r"this server has no torch to read it. Convert it once: python -c"):
        as_safetensors(tmp_path / "a.pt")


def test_the_child_leaves_tensors_alone(tmp_path: Path) -> None:
    whole = build_model(MODEL, classes=10, channels=1, seed=0)
    torch.save(whole, tmp_path / "whole.pt")
    with pytest.raises(ValueError, match=r"it is a PyTorch file that holds dpk_core\.models\S+, which is not read"):
        read(tmp_path / "whole.pt")
    torch.save({"accuracy": 0.5}, tmp_path / "none.pt")
    with pytest.raises(ValueError, match=r"without a state dict \(entries: 'accuracy'\)"):
        read(tmp_path / "none.pt")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "whole.pt").read_bytes()[:5000])
    with pytest.raises(ValueError, match="cannot be read as a PyTorch file"):
        read(tmp_path / "cut.pt")
    shared = torch.zeros(4, 3)
    torch.save({"a": shared, "b": shared.t()}, tmp_path / "views.pt")
    save_file(read(tmp_path / "views.pt"), tmp_path / "views.safetensors")
    assert load_file(tmp_path / "views.safetensors")["b"].shape == (3, 4)


def test_entries_that_hold_a_state_dict_are_told_apart() -> None:
    one = torch.zeros(1)
    assert tensors_of({"a": one, "n": 3}) == {"a": one}
    assert list(tensors_of({"model": {"state_dict": {"a": one}}, "teacher": {"a": one}, "optimizer": {"a": one}})) == [
        "model/state_dict/a", "teacher/a"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("entries", "seed"),
    [(("model_ema", "model"), 1), (("teacher",), 0), (("other", "teacher"), 1)],
)
def test_of_several_entries_the_first_that_fits_is_taken(entries: tuple[str, ...], seed: int, tmp_path: Path) -> None:
    """As the child names them; `other` is a network of another kind."""
    of = {entry: state(place) for place, entry in enumerate(entries)}
    if "other" in of:
        of["model"] = {"conv.weight": torch.zeros(3), **of.pop("other")}
        of["model"].pop("stem.0.weight")
    saved = {f"{entry}/{name}": each.clone() for entry, tensors in of.items() for name, each in tensors.items()}
    save_file(saved, tmp_path / "a.safetensors")
    built = build_with_weights(MODEL, classes=10, channels=1, seed=9, weights=tmp_path / "a.safetensors")
    assert torch.equal(built.model.state_dict()["head.weight"], state(seed)["head.weight"])
