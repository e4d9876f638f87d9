"""Every teacher is shown the same pictures, and nothing in it changes."""

from __future__ import annotations

import pytest
import torch

from dpk_core.models.build import build_model
from dpk_core.runner.teacher_features import chosen, cka_gap, teacher_features
from tests.unit.training.tiny import STUDENT, TEACHER, digits, teacher


def test_features_are_the_last_map_averaged_over_its_places() -> None:
    data, network = digits(), teacher(TEACHER)
    seen = teacher_features(network, TEACHER, data)
    positions = chosen(data)
    assert seen.features_ND.shape == (len(positions), 32)
    assert torch.equal(seen.labels_N, data.train.labels[positions])
    direct = network(data.normalise(data.train.pictures[positions]))
    assert torch.allclose(seen.logits_NC, direct, atol=1e-4)
    # The classifier sits on those very means.
    rebuilt = torch.nn.functional.linear(seen.features_ND, *list(network.parameters())[-2:])
    assert torch.allclose(seen.logits_NC, rebuilt, atol=1e-4)


def test_every_teacher_is_shown_the_same_pictures() -> None:
    assert torch.equal(chosen(digits()), chosen(digits()))
    assert len(set(chosen(digits()).tolist())) == len(chosen(digits()))


def test_the_gap_is_one_minus_cka() -> None:
    data = digits()
    student = build_model(STUDENT, classes=10, channels=1, seed=0).train()
    assert cka_gap(student, STUDENT, student, STUDENT, data) == pytest.approx(0, abs=1e-6)
    assert student.training
    gap = cka_gap(student, STUDENT, teacher(TEACHER), TEACHER, data)
    assert 0 < gap < 1
