"""The model card of a detector: average precision by overlap, size and class, with intervals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dpk_core.evidence import pack
from dpk_core.protocol import ArtifactReference, RunResult
from dpk_core.recipes import recipe
from dpk_core.spec import MethodSpec
from service.presentation.student_card import student_card
from service.scheduling.plan import Plan

PLAN = Plan(
    task="detection", student="detection/fasterrcnn_resnet18", dataset="boxes/pets", data_fingerprint="sha256:0",
    method=MethodSpec(name="dpk"), arms=("detection/fasterrcnn_resnet50", None), seeds=(0,),
    student_recipe=recipe("detection_small"), teacher_recipe=recipe("detection_small"), rungs=(20,), promote=1,
    train_pictures=100, channels=3, side=192, version=3,
)  # fmt: skip
RESULT = RunResult(
    epochs=20, validation_score=0.5, test_score=0.412, validation_pictures=100, test_pictures=72, seconds=1.0,
    parameters=1, device="cpu", device_name="CPU", weights=ArtifactReference(path="w", sha256="0", bytes=1),
    validation_evidence=pack(np.array([0.0, 1.0] * 50)),
    test_details={
        "ap50": 0.8, "ap75": 0.3, "ap_large": 0.6, "ap_class_0": 0.5, "ap_class_2": 0.3, "error_ap": 0.02,
        "error_ap50": 0.03, "error_ap_class_0": 0.5,
    },
    fallback_rates={"P4": 0.031, "P5": 0.0},
)  # fmt: skip


LICENCES = {"the data set boxes/pets": None, "the weights timm/resnet50@a1_in1k": "apache-2.0"}


def card(result: RunResult, classes: tuple[str, ...] | None = ("cat", "cow", "dog")) -> str:
    return student_card(
        PLAN, {}, None, job="1", teacher=None, seed=0, chosen="It was asked for.", result=result, classes=classes,
        licences=LICENCES,
    )  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        "| validation average precision | 50.0\N{NO-BREAK SPACE}AP on 100 pictures (41.8 to 58.2) |",
        "| test average precision, read once at the end | 41.2\N{NO-BREAK SPACE}AP on 72 pictures (37.9 to 44.5) |",
        "| AP, mean over overlaps .50 … .95 | 41.2 | 37.9 to 44.5 |",
        "| AP50, overlap at least .50 | 80.0 | 75.1 to 84.9 |",
        "| steps whose share of teacher tokens could not follow CKA | P4 3.1%, P5 0.0% |",
        "| AP of large boxes, from 96² px | 60.0 | – |",
        "| AP of cat | 50.0 | 0.0 to 100.0 |",
        "| AP of dog | 30.0 | – |",
        "| licence of the data set boxes/pets | not stated |",
        "| licence of the weights timm/resnet50@a1_in1k | apache-2.0 |",
    ],
)
def test_each_score(line: str) -> None:
    assert line in card(RESULT)


def test_what_is_not_known_is_not_said() -> None:
    said = card(replace(RESULT, test_details=None, test_score=None, validation_evidence=None), None)
    assert "| test average precision, read once at the end | not measured |" in said
    assert "| validation average precision | 50.0\N{NO-BREAK SPACE}AP on 100 pictures |" in said
    assert "small boxes" not in said
    assert "AP of 2 |" in card(RESULT, None)
