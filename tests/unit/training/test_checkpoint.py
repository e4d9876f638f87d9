"""Checkpoints and weights are whole, checked and few."""

from __future__ import annotations

import hashlib
import io
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from dpk_core import artifacts
from dpk_core.errors import ArtifactFault, TrainingDiverged
from dpk_core.models.build import build_model
from dpk_core.protocol import ArtifactReference, Checkpoint
from dpk_core.training.checkpoint import CheckpointWriter, load_weights, resume, save_weights
from dpk_core.training.loop import train
from tests.unit.training.tiny import STUDENT, TEACHER, Watcher, spec, start


def at_step(step: int, checkpoint_of: CheckpointWriter) -> Checkpoint:
    """A checkpoint of a training that claims to be at `step`."""
    training = start(spec())
    training.step = step
    return checkpoint_of.write(training)


def names(root: Path) -> set[str]:
    return {path.name for path in (root / "runs").iterdir()}


class TestWriter:
    def test_it_deletes_nothing_as_it_does_not_know_what_is_recorded(self, tmp_path: Path) -> None:
        writer = CheckpointWriter(tmp_path, "runs/a")
        recorded, *others = (at_step(step, writer) for step in (1, 2, 10))
        assert names(tmp_path) == {"a-1.pt", "a-2.pt", "a-10.pt"}
        training = start(spec())
        resume(training, tmp_path, recorded)
        assert training.step == 1
        assert [other.step for other in others] == [2, 10]

    def test_the_same_step_is_not_written_again(self, tmp_path: Path) -> None:
        writer = CheckpointWriter(tmp_path, "runs/a")
        first = at_step(4, writer)
        (tmp_path / first.file.path).unlink()
        assert at_step(4, writer) == first
        assert names(tmp_path) == set()

    def test_reference_describes_the_file(self, tmp_path: Path) -> None:
        checkpoint = at_step(9, CheckpointWriter(tmp_path, "runs/a"))
        content = (tmp_path / "runs" / "a-9.pt").read_bytes()
        assert checkpoint.file == ArtifactReference(
            path="runs/a-9.pt", sha256=hashlib.sha256(content).hexdigest(), bytes=len(content)
        )
        assert (checkpoint.step, checkpoint.epoch) == (9, 1)

    def test_a_broken_state_is_not_kept(self, tmp_path: Path) -> None:
        training = start(spec())
        train(training, 1, Watcher(stop_at=1))
        training.averages.add({"train_loss": torch.tensor(float("nan"))})
        with pytest.raises(TrainingDiverged):
            CheckpointWriter(tmp_path, "runs/a").write(training)
        assert not (tmp_path / "runs").exists()


class TestCrashWhileWriting:
    @pytest.mark.parametrize("call", ["fsync", "replace"])
    def test_the_old_checkpoint_stays_valid(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
        writer = CheckpointWriter(tmp_path, "runs/a")
        old = at_step(1, writer)

        def crash(*arguments: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(artifacts.os, call, crash)
            with pytest.raises(KeyboardInterrupt):
                at_step(2, writer)
        assert not (tmp_path / "runs" / "a-2.pt").exists()
        training = start(spec())
        resume(training, tmp_path, old)
        assert training.step == 1

    def test_replacing_a_file_is_all_or_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        old = artifacts.write(tmp_path, "weights", b"old")

        def crash(*arguments: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(artifacts.os, "fsync", crash)
            with pytest.raises(KeyboardInterrupt):
                artifacts.write(tmp_path, "weights", b"new")
        assert artifacts.read(tmp_path, old) == b"old"

    def test_content_is_flushed_before_it_gets_its_name(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        calls: list[str] = []
        for call in ("fsync", "replace"):
            real = getattr(artifacts.os, call)
            monkeypatch.setattr(
                artifacts.os, call, lambda *args, call=call, real=real: (calls.append(call), real(*args))[1]
            )
        artifacts.write(tmp_path, "weights", b"new")
        assert calls == ["fsync", "replace", "fsync"]


class TestResume:
    def test_a_corrupted_file_is_refused(self, tmp_path: Path) -> None:
        checkpoint = at_step(1, CheckpointWriter(tmp_path, "runs/a"))
        path = tmp_path / checkpoint.file.path
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        with pytest.raises(ArtifactFault, match=r"runs/a-1\.pt does not match its checksum"):
            resume(start(spec()), tmp_path, checkpoint)

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        checkpoint = at_step(1, CheckpointWriter(tmp_path, "runs/a"))
        (tmp_path / checkpoint.file.path).unlink()
        with pytest.raises(ArtifactFault, match=r"runs/a-1\.pt cannot be read"):
            resume(start(spec()), tmp_path, checkpoint)

    def test_another_training_is_refused(self, tmp_path: Path) -> None:
        checkpoint = at_step(1, CheckpointWriter(tmp_path, "runs/a"))
        with pytest.raises(ArtifactFault, match="belongs to another training"):
            resume(start(spec(seed=1)), tmp_path, checkpoint)

    def test_a_pickle_that_runs_code_is_refused(self, tmp_path: Path) -> None:
        class Evil:
            def __reduce__(self) -> tuple[object, tuple[str]]:
                return Path.touch, (tmp_path / "owned",)  # type: ignore[return-value]  # an attack needs no types

        buffer = io.BytesIO()
        torch.save({"step": Evil()}, buffer)
        for content in (buffer.getvalue(), pickle.dumps(Evil(), protocol=2), b"nonsense"):
            file = artifacts.write(tmp_path, "runs/a-1.pt", content)
            with pytest.raises(ArtifactFault, match=r"runs/a-1\.pt is no checkpoint"):
                resume(start(spec()), tmp_path, Checkpoint(file=file, step=1, epoch=0, seconds=0.0))
        assert not (tmp_path / "owned").exists()

    def test_a_state_with_something_missing_is_refused(self, tmp_path: Path) -> None:
        state = start(spec()).state()
        del state["optimisers"]
        buffer = io.BytesIO()
        torch.save(state, buffer)
        file = artifacts.write(tmp_path, "runs/a-1.pt", buffer.getvalue())
        with pytest.raises(ArtifactFault, match="does not fit this training"):
            resume(start(spec()), tmp_path, Checkpoint(file=file, step=1, epoch=0, seconds=0.0))

    def test_a_path_cannot_leave_the_artifact_folder(self, tmp_path: Path) -> None:
        root = tmp_path / "artifacts"
        checkpoint = at_step(1, CheckpointWriter(tmp_path, "runs/a"))
        outside = replace(checkpoint, file=replace(checkpoint.file, path="../runs/a-1.pt"))
        with pytest.raises(ArtifactFault, match="leads out of the artifact folder"):
            resume(start(spec()), root, outside)


class TestWeights:
    def test_there_and_back_with_buffers(self, tmp_path: Path) -> None:
        training = start(spec())
        train(training, 1, Watcher(stop_at=2))
        reference = save_weights(training.model, tmp_path, "weights/t.safetensors")
        other = build_model(STUDENT, classes=10, channels=1, seed=5)
        load_weights(other, tmp_path, reference)
        for (name, value), loaded in zip(training.model.state_dict().items(), other.state_dict().values(), strict=True):
            assert torch.equal(value, loaded), name

    def test_a_module_with_two_names_is_kept_under_both(self, tmp_path: Path) -> None:
        def twins() -> nn.ModuleDict:
            shared = nn.Linear(2, 3)
            return nn.ModuleDict({"one": shared, "other": shared})

        network, read = twins(), twins()
        load_weights(read, tmp_path, save_weights(network, tmp_path, "t.safetensors"))
        assert torch.equal(read["other"].weight, network["one"].weight)

    def test_weights_of_another_model_are_refused(self, tmp_path: Path) -> None:
        reference = save_weights(start(spec()).model, tmp_path, "t.safetensors")
        with pytest.raises(ArtifactFault, match=r"t\.safetensors do not fit the model"):
            load_weights(build_model(TEACHER, classes=10, channels=1, seed=0), tmp_path, reference)

    def test_a_file_that_is_no_safetensors_is_refused(self, tmp_path: Path) -> None:
        reference = artifacts.write(tmp_path, "t.safetensors", b"nonsense")
        with pytest.raises(ArtifactFault, match=r"t\.safetensors do not fit"):
            load_weights(build_model(TEACHER, classes=10, channels=1, seed=0), tmp_path, reference)
