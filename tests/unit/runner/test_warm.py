"""Data sets and teachers stay warm, and are not mistaken for one another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dpk_core.disk import machine
from dpk_core.errors import ArtifactFault, MissingHere
from dpk_core.models.build import build_model
from dpk_core.runner import warm
from dpk_core.training.checkpoint import save_weights
from tests.unit.training.tiny import TEACHER, digits, spec

CPU = torch.device("cpu")
pytestmark = pytest.mark.usefixtures("cold")


def test_a_data_set_is_loaded_once() -> None:
    assert warm.data_for(spec(), None, CPU) is warm.data_for(spec(seed=1), None, CPU)


def test_another_fingerprint_is_refused_though_the_data_is_warm() -> None:
    warm.data_for(spec(), None, CPU)
    with pytest.raises(MissingHere, match=f"{machine()} has another version of .*the run was made for sha256:other"):
        warm.data_for(replace(spec(), data_fingerprint="sha256:other"), None, CPU)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(None, "does not have the data set npz/mine"), (b"broken", "cannot use its copy of the data set npz/mine")],
)
def test_a_machine_without_the_data_is_named_with_its_folder(
    content: bytes | None, sentence: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "mine.npz").write_bytes(content)
    with pytest.raises(MissingHere, match=f"{machine()} {sentence} .data root {tmp_path}"):
        warm.data_for(replace(spec(), dataset="npz/mine"), tmp_path, CPU)


def test_a_teacher_is_loaded_once_frozen_and_in_evaluation_mode(tmp_path: Path) -> None:
    original = build_model(TEACHER, classes=10, channels=1, seed=3)
    reference = save_weights(original, tmp_path, "t.safetensors")
    teacher = warm.teacher_for(TEACHER, reference, tmp_path, digits())
    assert teacher is warm.teacher_for(TEACHER, reference, tmp_path, digits())
    assert not teacher.training
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    pairs = zip(original.parameters(), teacher.parameters(), strict=True)
    assert all(torch.equal(first, second) for first, second in pairs)


def test_other_weights_of_the_same_model_are_another_teacher(tmp_path: Path) -> None:
    references = [
        save_weights(build_model(TEACHER, classes=10, channels=1, seed=seed), tmp_path, f"{seed}.safetensors")
        for seed in (1, 2)
    ]
    first, second = (warm.teacher_for(TEACHER, reference, tmp_path, digits()) for reference in references)
    assert not torch.equal(next(first.parameters()), next(second.parameters()))


def test_the_checksum_of_a_teacher_is_verified(tmp_path: Path) -> None:
    reference = save_weights(build_model(TEACHER, classes=10, channels=1, seed=1), tmp_path, "t.safetensors")
    (tmp_path / "t.safetensors").write_bytes(b"x" * reference.bytes)
    with pytest.raises(ArtifactFault, match="does not match its checksum"):
        warm.teacher_for(TEACHER, reference, tmp_path, digits())
