"""Evaluation counts right answers, in evaluation mode, and leaves no trace."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from dpk_core.data.source import Split
from dpk_core.models.build import build_model
from dpk_core.training import evaluate as module
from dpk_core.training.evaluate import EVALUATORS
from tests.unit.training.tiny import STUDENT, digits

evaluator = EVALUATORS["classification"]


def test_accuracy_and_loss_against_a_direct_count() -> None:
    model, data = build_model(STUDENT, classes=10, channels=1, seed=0), digits()
    found = evaluator.evaluate(model, data, data.validation)
    with torch.no_grad():
        logits_BC = model.eval()(data.normalise(data.validation.pictures))
    labels_B = data.validation.labels
    right_B = logits_BC.argmax(1) == labels_B
    assert torch.equal(found.evidence_N, right_B)
    assert found.score == right_B.double().mean().item()
    assert found.loss == pytest.approx(F.cross_entropy(logits_BC, labels_B).item(), rel=1e-5)


@pytest.mark.parametrize("mode", [True, False])
def test_the_model_is_judged_in_evaluation_mode_and_put_back(mode: bool) -> None:
    model = build_model(STUDENT, classes=10, channels=1, seed=0).train(mode)
    seen = []
    model.register_forward_hook(lambda *call: seen.append(call[0].training))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    evaluator.evaluate(model, digits(), digits().validation)
    assert model.training == mode
    assert set(seen) == {False}
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_an_incomplete_last_batch_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    model, data = build_model(STUDENT, classes=10, channels=1, seed=0), digits()
    split = Split(data.validation.pictures[:101], data.validation.labels[:101])
    whole = evaluator.evaluate(model, data, split)
    monkeypatch.setattr(module, "BATCH", 10)
    assert evaluator.evaluate(model, data, split).score == whole.score


def test_guessing_is_naming_the_most_frequent_class() -> None:
    pictures, labels = torch.zeros(5, 1, 8, 8, dtype=torch.uint8), torch.tensor([0, 2, 2, 1, 2])
    assert evaluator.guess(Split(pictures, labels)) == pytest.approx(0.6)
    assert evaluator.is_chance(0.62, torch.zeros(100), 0.6)
    assert not evaluator.is_chance(0.75, torch.zeros(100), 0.6)
