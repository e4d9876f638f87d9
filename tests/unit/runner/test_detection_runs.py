"""Runs of detection in the runner: a teacher's training and a student's after it, from a folder of pictures."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dpk_core import artifacts
from dpk_core.catalogue.datasets import DatasetCard, box_dataset_card
from dpk_core.catalogue.detection.samples import DetectionSamples
from dpk_core.codec import from_json
from dpk_core.errors import InvalidRequest, MissingHere
from dpk_core.evidence import unpack
from dpk_core.protocol import ArtifactReference, Event, Finished, Measured, RunCommand, RunResult, decode_event
from dpk_core.runner import warm
from dpk_core.runner.carry_out import carry_out
from dpk_core.runner.inbox import Assignment
from dpk_core.runner.life import Channel
from dpk_core.spec import MethodSpec, RunSpec, TeacherReference, TrainingSpec
from tests.unit.catalogue.detection.detection_sets import sound_documents, write_coco
from tests.unit.training.tiny import deterministic
from tests.unit.training.tiny_detection import FASTER, RECIPE, TEACHERS


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("detection")
    write_coco(folder / "data" / "pets", sound_documents(pictures=4))
    return folder


def card(root: Path) -> DatasetCard:
    assert RECIPE.detection is not None
    return box_dataset_card("boxes/pets", root / "data", "dataset", RECIPE.detection)


def training(root: Path, method: MethodSpec | None = None) -> TrainingSpec:
    """A student's; without a method a teacher's own."""
    return TrainingSpec(
        role="teacher" if method is None else "student", model=TEACHERS[FASTER] if method is None else FASTER,
        dataset="boxes/pets", data_fingerprint=card(root).fingerprint, method=method or MethodSpec(name="none"),
        teacher=None if method is None else TeacherReference(model=TEACHERS[FASTER], training_key="t"),
        recipe=RECIPE, seed=0, task="detection",
    )  # fmt: skip


def carried_out(
    root: Path, spec: TrainingSpec, weights: ArtifactReference | None = None
) -> tuple[RunResult, list[Event]]:
    """A full run in this process: its result, and what it said on the way."""
    command = RunCommand(
        run_id=spec.role, spec=RunSpec(training=spec, stop_epoch=spec.recipe.epochs), artifact_root=str(root),
        checkpoint_prefix=f"checkpoints/{spec.role}", weights_path=f"weights/{spec.role}.safetensors",
        teacher_weights=weights, resume=None, earlier_seconds=0.0, data_root=str(root / "data"), weights_root=None,
        checkpoint_seconds=30.0,
    )  # fmt: skip
    stream = io.BytesIO()
    with deterministic():
        last = carry_out(Assignment(command), Channel(stream), torch.device("cpu"), "some CPU")
    assert isinstance(last, Finished)
    return last.result, [decode_event(line) for line in stream.getvalue().decode().splitlines()]


def test_a_teacher_and_its_student(root: Path) -> None:
    prepared, _ = carried_out(root, training(root))
    assert prepared.weights is not None
    assert prepared.scores is None
    assert prepared.near_chance == any("finds no more boxes than chance" in each.message for each in prepared.notices)
    found, events = carried_out(root, training(root, MethodSpec(name="dpk", inherit=True)), prepared.weights)
    measured = [event.values for event in events if isinstance(event, Measured)]
    assert len(measured) == 2
    assert found.validation_score == measured[-1]["validation_average_precision"]
    assert found.test_score is not None
    assert 0 <= found.test_score <= 1
    assert found.test_details is not None
    assert {"ap50", "ap_class_0", "error_ap"} <= found.test_details.keys()
    assert (found.validation_pictures, found.test_pictures, found.guess_score) == (4, 4, 0.0)
    assert found.near_chance, "of two epochs on noise"
    assert found.samples is not None
    kept = from_json(DetectionSamples, json.loads(artifacts.read(root, found.samples)))
    assert len(kept.pictures) == 3
    assert all(len(each.truth) == 2 and (each.picture or "").startswith("data:image/") for each in kept.pictures)
    assert prepared.samples is not None
    assert [each.name for each in kept.pictures] == [
        each.name for each in from_json(DetectionSamples, json.loads(artifacts.read(root, prepared.samples))).pictures
    ], "the same pictures for teacher and student"
    assert found.validation_evidence is not None
    assert found.validation_evidence.kind == "floats"
    assert unpack(found.validation_evidence).mean() == pytest.approx(found.validation_score, abs=1e-6)
    assert found.preprocessing is not None
    assert found.preprocessing.canvas == card(root).canvas
    assert found.fallback_rates is not None
    for level in ("P4", "P5"):
        rates = [values[f"share_fallback.{level}"] for values in measured]
        assert found.fallback_rates[level] == pytest.approx(sum(rates) / 2)
        said = any(f"the share of level {level} took its fallback value" in each.message for each in found.notices)
        assert said == (max(rates) > 0)
    assert any("neck and heads begin as the teacher's" in notice.message for notice in found.notices)


def test_what_this_machine_lacks(root: Path) -> None:
    spec = training(root)
    with pytest.raises(MissingHere, match="another version of the data set boxes/pets"):
        warm.data_for(replace(spec, data_fingerprint="other"), root / "data", torch.device("cpu"))
    with pytest.raises(InvalidRequest, match="There is no detector detection/fasterrcnn_vgg16"):
        warm.models_here(replace(spec, model="detection/fasterrcnn_vgg16"))
