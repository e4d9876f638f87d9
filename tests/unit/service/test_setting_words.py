"""Settings in words."""

from __future__ import annotations

from typing import Any

import pytest

from dpk_core.codec import to_json
from dpk_core.recipes import RECIPES
from service.presentation.setting_words import every_setting, method_label, method_line, pictures_line, recipe_line
from service.wire.setting_choices import MethodChoice
from tests.unit.web import sample

SETUP = sample.leaderboard().setup


@pytest.mark.parametrize(
    ("asked", "label"),
    [
        ({}, "DPK"),
        ({"name": "kd", "temperature": 1.0}, "KD (temperature 1)"),
        (
            {"profile": "paper", "share": {"lag": True, "floor": 0.2}},
            "DPK (profile paper, share.floor 0.2, share.lag on)",
        ),
        ({"stages": [{"name": "last", "weight": 0.5}]}, "DPK (stages [last 0.5])"),
        ({"extra_losses": []}, "DPK (extra_losses [])"),
    ],
)
def test_a_method_is_named_with_what_was_asked_for(asked: dict[str, Any], label: str) -> None:
    assert method_label(MethodChoice.model_validate(asked)) == label


def test_a_setup_without_changes() -> None:
    assert method_line(SETUP) == "dpk, probe profile"
    assert recipe_line(SETUP) == "digits: SGD, learning rate 0.05, batches of 64, random shifts, float32."
    assert pictures_line(SETUP) == "8 x 8 px, 1 channel; 898 for training"


def test_all_that_a_recipe_does_is_named() -> None:
    settings = to_json(RECIPES["imagenet"]) | {"mixup": 0.2, "cutmix": 1.0, "ema_decay": 0.999}
    said = recipe_line(SETUP.model_copy(update={"recipe": "imagenet", "recipe_settings": settings}))
    for part in (
        "random resized crops and flips, RandAugment 9, erasing 0.25, mixup 0.2, CutMix 1,", "batches in 2 parts",
        "the running average of the weights (0.999)",
    ):  # fmt: skip
        assert part in said
    every = every_setting(settings)
    assert "decay 0.5, " in every
    assert "milestones [25, 50, 75]" in every
    assert "name" not in every


def test_what_was_changed_is_listed() -> None:
    changed = SETUP.model_copy(
        update={"method_changes": {"share.floor": 0.2}, "recipe_changes": {"clip_norm": None, "milestones": [2, 4]}}
    )
    assert method_line(changed).endswith("not by default: share.floor 0.2")
    assert recipe_line(changed).endswith("Changed: clip_norm none, milestones [2, 4].")
