"""Training on picture files: the same bits read while training as in memory, and stopped as never stopped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dpk_core.catalogue.datasets import dataset_card
from dpk_core.data import picture_files
from dpk_core.data.source import ImageData, load_dataset
from dpk_core.data.streamed import StreamedSplit
from dpk_core.recipes import recipe
from dpk_core.spec import Augmentation, MethodSpec, TrainingSpec
from dpk_core.training.evaluate import EVALUATORS
from dpk_core.training.loop import train
from dpk_core.training.training import Training, begin
from tests.unit.catalogue.picture_sets import write_folder
from tests.unit.training.tiny import STUDENT, Watcher, assert_equal_states


def begun(data: ImageData, augmentation: Augmentation, *, channels_last: bool = False) -> Training:
    """The student's training before its first step."""
    tiny = replace(recipe("small", epochs=2, batch_size=5), augmentation=augmentation, channels_last=channels_last)
    spec = TrainingSpec(
        role="student", model=STUDENT, dataset=data.card.name, data_fingerprint=data.card.fingerprint,
        method=MethodSpec(name="none"), teacher=None, recipe=tiny, seed=0,
    )  # fmt: skip
    return begin(spec, data, None)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found out about data sets is remembered in a folder of the test's own."""
    monkeypatch.setenv("DPK_DATA_CACHE", str(tmp_path / "cache"))


def load(root: Path, monkeypatch: pytest.MonkeyPatch, bytes_in_memory: int) -> ImageData:
    monkeypatch.setattr(picture_files, "IN_MEMORY_BYTES", bytes_in_memory)
    return load_dataset(dataset_card("folder/made", root, "dataset"), root, torch.device("cpu"))


@pytest.mark.parametrize("augmentation", ["crop_flip", "resized_crop_flip"])
def test_stopped_at_a_step_a_streamed_training_goes_on_to_the_last_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, augmentation: Augmentation
) -> None:
    write_folder(tmp_path)
    data = load(tmp_path, monkeypatch, 0)
    assert isinstance(data.train, StreamedSplit)
    whole, parts = begun(data, augmentation), begun(data, augmentation)
    assert train(whole, 2, Watcher())
    for stop_at in (1, 4):
        assert not train(parts, 2, Watcher(stop_at=stop_at, steps=parts.step))
        fresh = begun(data, augmentation)
        fresh.restore(parts.state())
        parts = fresh
    assert train(parts, 2, Watcher())
    assert_equal_states(whole, parts)


def test_where_the_pictures_are_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(tmp_path)
    trained = [begun(load(tmp_path, monkeypatch, most), "crop_flip") for most in (0, 2**31)]
    for training in trained:
        assert train(training, 2, Watcher())
    assert_equal_states(*trained)
    evaluate = EVALUATORS["classification"].evaluate
    one, other = (evaluate(training.model, training.data, training.data.read_test()) for training in trained)
    assert (one.loss, one.evidence_N.tolist()) == (other.loss, other.evidence_N.tolist())


@pytest.mark.parametrize("channels_last", [True, False])
def test_pictures_and_weights_lie_as_the_recipe_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channels_last: bool
) -> None:
    write_folder(tmp_path)
    training = begun(load(tmp_path, monkeypatch, 0), "crop_flip", channels_last=channels_last)
    seen: list[Tensor] = []
    training.method.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    assert not train(training, 1, Watcher(stop_at=1))
    kernels = [weight for weight in training.model.parameters() if weight.ndim == 4 and weight.shape[2] > 1]
    for values in (*seen, *kernels):
        assert values.is_contiguous(memory_format=torch.channels_last) == channels_last
