"""Trainings that start from trained weights: which ones, what of them trains, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file

from dpk_core.catalogue.weights import file_identity
from dpk_core.errors import InvalidRequest, MissingHere, TrainingDiverged
from dpk_core.models.build import build_model
from dpk_core.recipes import AS_IS
from dpk_core.spec import Start, TrainingSpec
from dpk_core.training.checkpoint import CheckpointWriter, resume
from dpk_core.training.evaluate import EVALUATORS
from dpk_core.training.loop import train
from dpk_core.training.training import Training, begin
from tests.unit.training.tiny import RECIPE, STEPS, STUDENT, Watcher, assert_equal_states, few_digits, spec

PUBLISHED = Start(source="pretrained", name="resnet10t.c3_in1k", identity="timm 1.0")


def file_start(root: Path, classes: int = 10, model: str = STUDENT) -> Start:
    save_file(build_model(model, classes=classes, channels=1, seed=9).state_dict(), root / "w.safetensors")
    return Start(source="file", name="w.safetensors", identity=file_identity(root / "w.safetensors", "w", "x"))


def teacher_spec(start: Start, **changes: Any) -> TrainingSpec:
    return replace(spec(), role="teacher", start=start, **changes)


def begun(training_spec: TrainingSpec, root: Path) -> Training:
    return begin(training_spec, few_digits(), None, weights_root=root)


def test_every_weight_is_the_files(tmp_path: Path) -> None:
    training = begun(teacher_spec(file_start(tmp_path)), tmp_path)
    original = build_model(STUDENT, classes=10, channels=1, seed=9).state_dict()
    assert all(torch.equal(value, original[name]) for name, value in training.model.state_dict().items())
    assert training.notes == ()


def test_without_epochs_they_are_judged_as_they_are(tmp_path: Path) -> None:
    training, watcher = begun(teacher_spec(file_start(tmp_path), recipe=AS_IS), tmp_path), Watcher()
    before = {name: value.clone() for name, value in training.model.state_dict().items()}
    assert train(training, 0, watcher)
    judged = EVALUATORS["classification"].evaluate(training.model, few_digits(), few_digits().validation)
    assert watcher.epochs == [{"validation_accuracy": judged.score, "validation_loss": judged.loss}]
    assert (training.step, training.epoch) == (0, 0)
    assert training.seconds > 0
    assert all(torch.equal(value, before[name]) for name, value in training.model.state_dict().items())


def test_a_head_trains_on_a_body_that_stays(tmp_path: Path) -> None:
    training, watcher = begun(teacher_spec(file_start(tmp_path, classes=7), trains="head"), tmp_path), Watcher()
    before = {name: value.clone() for name, value in training.model.state_dict().items()}
    assert train(training, 2, watcher)
    changed = {name for name, value in training.model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"head.weight", "head.bias"}
    assert watcher.epochs[1]["train_loss"] < watcher.epochs[0]["train_loss"]
    assert "made for 7 classes, not 10" in training.notes[0]


def test_a_head_training_resumes_bit_for_bit(tmp_path: Path) -> None:
    head = teacher_spec(file_start(tmp_path), trains="head")
    whole, stopped = begun(head, tmp_path), begun(head, tmp_path)
    train(whole, 2, Watcher())
    train(stopped, 2, Watcher(stop_at=STEPS + 1))
    fresh = begun(head, tmp_path)
    resume(fresh, tmp_path, CheckpointWriter(tmp_path, "runs/a").write(stopped))
    train(fresh, 2, Watcher())
    assert_equal_states(whole, fresh)


def test_fine_tuning_trains_everything(tmp_path: Path) -> None:
    training = begun(teacher_spec(file_start(tmp_path, classes=7)), tmp_path)
    before = {name: value.clone() for name, value in training.model.named_parameters()}
    train(training, 1, Watcher())
    assert all(not torch.equal(value, before[name]) for name, value in training.model.named_parameters())


def test_a_student_starts_where_it_is_told(tmp_path: Path) -> None:
    from_file = begun(replace(spec(), start=file_start(tmp_path)), tmp_path)
    other_seed = begun(replace(spec(seed=1), start=file_start(tmp_path)), tmp_path)
    for one, other in zip(from_file.model.parameters(), other_seed.model.parameters(), strict=True):
        assert torch.equal(one, other)
    assert from_file.spec.key() != spec().key()


def changed(root: Path, start: Start) -> Start:
    file_start(root, classes=11)
    return start


def elsewhere(_: Path, start: Start) -> Start:
    return replace(start, name="../w.safetensors")


def gone(root: Path, start: Start) -> Start:
    (root / start.name).unlink()
    return start


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (changed, "but the run was made for sha256:"),
        (elsewhere, "outside the weights root"),
        (gone, "There are no weights w.safetensors"),
    ],
)
def test_a_file_that_is_not_what_it_was_is_refused(
    spoil: Callable[[Path, Start], Start], sentence: str, tmp_path: Path
) -> None:
    start = spoil(tmp_path, file_start(tmp_path))
    with pytest.raises(MissingHere, match=sentence):
        begun(teacher_spec(start), tmp_path)


def test_a_head_for_other_classes_cannot_be_taken_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"cannot be taken as it is: The head .* made for 7 classes"):
        begun(teacher_spec(file_start(tmp_path, classes=7), recipe=AS_IS), tmp_path)


class TestPublished:
    """timm's weights, as if from its cache: its own mechanism reads them from a file."""

    @pytest.fixture
    def cached(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        save_file(
            build_model("timm/resnet10t", classes=1000, channels=3, seed=1).state_dict(), tmp_path / "w.safetensors"
        )
        create = timm.create_model

        def from_file(*names: str, **options: Any) -> Any:
            return create(*names, **options, pretrained_cfg_overlay={"file": str(tmp_path / "w.safetensors")})

        monkeypatch.setattr(timm, "create_model", from_file)
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
        kept = tmp_path / "hub/models--timm--resnet10t.c3_in1k/snapshots/x/model.safetensors"
        kept.parent.mkdir(parents=True)
        kept.touch()

    @pytest.mark.usefixtures("cached")
    def test_they_get_a_head_for_these_classes(self, tmp_path: Path) -> None:
        training = begun(teacher_spec(PUBLISHED, model="timm/resnet10t", trains="head"), tmp_path)
        trained = {name for name, value in training.model.named_parameters() if value.requires_grad}
        assert trained == {"fc.weight", "fc.bias"}
        assert [note.partition(" ")[0] for note in training.notes] == ["Its", "The"]

    @pytest.mark.usefixtures("cached")
    def test_others_than_the_run_was_made_for_are_refused(self, tmp_path: Path) -> None:
        other = replace(PUBLISHED, name="resnet10t.other")
        with pytest.raises(MissingHere, match=r"publishes resnet10t\.c3_in1k for .* made for resnet10t\.other"):
            begun(teacher_spec(other, model="timm/resnet10t"), tmp_path)

    def test_what_is_not_in_the_cache_is_not_fetched(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
        monkeypatch.delenv("DPK_DOWNLOAD", raising=False)
        with pytest.raises(MissingHere, match="not in the hub cache here"):
            begun(teacher_spec(PUBLISHED, model="timm/resnet10t"), tmp_path)


def test_weights_that_give_no_finite_scores_are_named(tmp_path: Path) -> None:
    large = build_model(STUDENT, classes=10, channels=1, seed=9).state_dict()
    large["head.weight"].fill_(3e38)
    save_file(large, tmp_path / "w.safetensors")
    start = Start(source="file", name="w.safetensors", identity=file_identity(tmp_path / "w.safetensors", "w", "x"))
    training = begun(teacher_spec(start, recipe=AS_IS), tmp_path)
    with pytest.raises(TrainingDiverged, match=f"scores of {STUDENT} .* not finite numbers before any training"):
        train(training, 0, Watcher())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"role": "teacher", "trains": "head"}, "random weights are no use"),
        ({"role": "teacher", "recipe": AS_IS}, "random weights are no use"),
        ({"start": PUBLISHED, "trains": "head"}, "a student trains as a whole"),
        ({"start": PUBLISHED, "recipe": AS_IS}, "a student trains as a whole"),
    ],
)
def test_what_makes_no_sense_is_no_training(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        replace(spec(recipe=RECIPE), **changes)
