"""Rivals' scores: measured where the networks are, told where they cannot be, and never in a training's way."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from dpk_core.models.build import build_model
from dpk_core.runner import scores
from dpk_core.runner.scores import student_scores, teacher_scores
from dpk_core.selection.evaluate import transfer_scores
from dpk_core.training.loop import train
from tests.unit.training.tiny import STUDENT, TEACHER, Watcher, digits, spec, start, teacher


def test_a_teacher_has_its_scores_and_stays_as_it_was() -> None:
    network = build_model(TEACHER, classes=10, channels=1, seed=1).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    found = teacher_scores(network, TEACHER, digits())
    assert found.notes == ()
    assert found.scores is not None
    assert set(found.scores) == {"logme", "leep", "h_score", "ratio_1_2"}
    # LEEP is a mean log-likelihood, H-score a trace of at most classes − 1 directions.
    assert found.scores["leep"] < 0
    assert 0 < found.scores["h_score"] < 9
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_scores_are_the_same_in_either_mode() -> None:
    network = build_model(TEACHER, classes=10, channels=1, seed=1)
    assert teacher_scores(network.train(), TEACHER, digits()) == teacher_scores(network.eval(), TEACHER, digits())


def test_the_gap_is_that_before_the_first_step_whenever_it_is_measured() -> None:
    training = start(spec("kd"))
    first = student_scores(training.spec, teacher(), digits(), None)
    train(training, 1, Watcher())
    assert first.scores is not None
    assert 0 < first.scores["cka_gap"] < 1
    assert student_scores(training.spec, teacher(), digits(), None) == first
    assert student_scores(spec("kd", seed=1), teacher(), digits(), None) != first


def test_no_feature_maps_no_score_and_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    found = teacher_scores(nn.Linear(1, 1), "timm/no-such-model", digits())
    assert found.scores is None
    assert found.notes[0].startswith("LogME, LEEP, H-score and Ratio 1-2 of timm/no-such-model could not be measured: ")
    monkeypatch.setattr(transfer_scores, "logme", lambda *_: math.nan)
    found = teacher_scores(teacher(), TEACHER, digits())
    assert set(found.scores or {}) == {"leep", "h_score", "ratio_1_2"}
    assert found.notes == (f"logme of {TEACHER} could not be measured: it is undefined on this data.",)


def test_no_memory_for_another_look_fails_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def short(*_: object) -> float:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(scores, "cka_gap", short)
    found = student_scores(spec("kd"), teacher(), digits(), None)
    assert (found.scores, found.notes) == (None, (f"cka_gap of {STUDENT} could not be measured: out of memory",))
