"""What a reader of a result must know, from the measurements of all runs that carried the training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dpk_core.codec import from_json, to_json
from dpk_core.protocol import Notice, RunResult
from dpk_core.recipes import AS_IS
from dpk_core.runner.notices import (
    WRONG_ORDER,
    chance_notices,
    record_fallbacks,
    starting_notes,
    training_notices,
)
from dpk_core.spec import Role, RunSpec, Start
from dpk_core.training.checkpoint import CheckpointWriter, resume
from tests.unit.training.tiny import STEPS, spec, start

RESULT = RunResult(
    epochs=2, validation_score=0.1, test_score=None, validation_pictures=539, test_pictures=360, seconds=1.0,
    parameters=7, device="cpu", device_name="x", weights=None, guess_score=0.102, near_chance=True,
)  # fmt: skip


def test_fallbacks_before_a_checkpoint_are_told_by_whoever_goes_on(tmp_path: Path) -> None:
    probe = start(spec())
    probe.step = STEPS
    first = {"share.last": 0.5, "share_fallback.last": 0.25, "share_fallback.second_last": 1.0, "share_fallback.x": 0.0}
    assert list(record_fallbacks(probe, first)) == [("last", 0.25, True), ("second_last", 1.0, True)]
    kept = CheckpointWriter(tmp_path, "probe").write(probe)
    full = start(spec())
    resume(full, tmp_path, kept)
    full.step = 2 * STEPS
    assert list(record_fallbacks(full, {"share_fallback.last": 0.25})) == [("last", 0.25, False)]
    because = "took its fallback value, because CKA was undefined, near zero or negative."
    assert training_notices(full) == [
        Notice(level="info", message=f"In some steps the share of stage last {because}"),
        Notice(level="warning", message=f"In most steps the share of stage second_last {because}"),
    ]


@pytest.mark.parametrize("role", ["student", "teacher"])
def test_notes_on_the_weights_say_whose_they_are(role: Role) -> None:
    training = start(spec())
    training.spec = replace(training.spec, role=role)
    training.notes = ("The head (fc.weight) was drawn anew.", "Its first convolution was folded.")
    assert starting_notes(training) == [
        f"{role.capitalize()}: the head (fc.weight) was drawn anew.",
        f"{role.capitalize()}: its first convolution was folded.",
    ]
    assert [notice.level for notice in training_notices(training)] == ["info", "info"]


def test_a_prepared_teacher_is_held_against_guessing() -> None:
    trained = RunSpec(training=replace(spec(), role="teacher"), stop_epoch=2)
    (only,) = chance_notices(trained, RESULT)
    assert only.level == "warning"
    assert only.message.startswith("The teacher tells the classes no better than chance: 10.0% of 539")
    given = Start(source="file", name="a.safetensors", identity="sha256:1")
    as_is = RunSpec(training=replace(trained.training, recipe=AS_IS, start=given), stop_epoch=0)
    assert [notice.message for notice in chance_notices(as_is, RESULT)] == [only.message, WRONG_ORDER]
    assert chance_notices(trained, replace(RESULT, near_chance=False)) == []
    assert chance_notices(RunSpec(training=spec(), stop_epoch=2), RESULT) == [], "students are held against it by jobs"


def test_notices_survive_the_store() -> None:
    result = replace(RESULT, notices=(Notice(level="info", message="The share fell back."),))
    assert from_json(RunResult, to_json(result)) == result
