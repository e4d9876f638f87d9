"""What rivals of the probe say, measured where the networks are at hand; nothing here may fail a run."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from dpk_core.data.source import ImageData
from dpk_core.errors import DpkError, first_line
from dpk_core.runner.teacher_features import cka_gap, teacher_features
from dpk_core.spec import TrainingSpec
from dpk_core.training.start import starting_model

FORGIVEN = (DpkError, RuntimeError, ValueError, MemoryError)
"""No feature maps, no memory for another look, too few pictures, a decomposition that does not converge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Scores by name, None where there is none, and a sentence for each that could not be measured."""

    scores: dict[str, float] | None
    notes: tuple[str, ...]


def teacher_scores(teacher: nn.Module, name: str, data: ImageData) -> Scored:
    """LogME, LEEP, H-score and Ratio 1-2 of a prepared teacher on the student's training pictures."""
    try:
        # Here, as networks train without scipy.
        from dpk_core.selection.evaluate.transfer_scores import h_score, leep, logme, ratio_1_2

        seen = teacher_features(teacher, name, data)
    except (*FORGIVEN, ImportError) as error:
        return _nothing(f"LogME, LEEP, H-score and Ratio 1-2 of {name}", error)
    features_ND, logits_NC = seen.features_ND.double().numpy(), seen.logits_NC.double().numpy()
    labels_N = seen.labels_N.numpy()
    return _measured(
        name,
        {
            "logme": lambda: logme(features_ND, labels_N),
            "leep": lambda: leep(logits_NC, labels_N),
            "h_score": lambda: h_score(features_ND, labels_N),
            "ratio_1_2": lambda: ratio_1_2(logits_NC),
        },
    )


def student_scores(spec: TrainingSpec, teacher: nn.Module, data: ImageData, weights_root: Path | None) -> Scored:
    """The CKA gap between the student that `spec` starts with and its teacher.

    The student is built anew, so that a training that was stopped and went on gets the same scores as one that was not.
    """
    assert spec.teacher is not None
    names = spec.model, spec.teacher.model
    try:
        student = starting_model(spec, data.card, weights_root).model.to(data.device)
        return _measured(names[0], {"cka_gap": lambda: cka_gap(student, names[0], teacher, names[1], data)})
    except FORGIVEN as error:
        return _nothing(f"The CKA gap between {names[0]} and {names[1]}", error)


def _measured(name: str, ways: dict[str, Callable[[], float]]) -> Scored:
    scores: dict[str, float] = {}
    notes: list[str] = []
    for score, way in ways.items():
        try:
            value = way()
        except FORGIVEN as error:
            notes += _nothing(f"{score} of {name}", error).notes
            continue
        if math.isfinite(value):
            scores[score] = value
        else:
            notes.append(f"{score} of {name} could not be measured: it is undefined on this data.")
    return Scored(scores=scores or None, notes=tuple(notes))


def _nothing(what: str, error: Exception) -> Scored:
    return Scored(scores=None, notes=(f"{what} could not be measured: {first_line(error)}",))
