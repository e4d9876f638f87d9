"""The choices of DPK as they are stored with a run."""

import json
from dataclasses import replace
from typing import Any

import pytest

from dpk_core.codec import content_key, from_json, to_json
from dpk_core.dpk_settings import IMAGENET_DPK, DpkSettings, ExtraLoss, ShareSettings, StageSettings, TransformerSize
from dpk_core.spec import MethodSpec


def test_settings_survive_json() -> None:
    stage = StageSettings(name="third_last", weight=0.5, patch=2, encoder=TransformerSize(width=64, depth=2, heads=4))
    share = ShareSettings(schedule="cosine", start=0.8, end=0.2)
    spec = MethodSpec(name="dpk", profile="paper", dpk=DpkSettings(stages=(stage,), share=share, temperature=2.0))
    spec = replace(spec, dpk=replace(spec.dpk or DpkSettings(), extra_losses=(ExtraLoss(name="at", weight=0.5),)))
    assert from_json(MethodSpec, json.loads(json.dumps(to_json(spec)))) == spec


def test_a_method_without_settings_is_read_as_before() -> None:
    assert from_json(MethodSpec, {"name": "kd", "profile": "probe"}) == MethodSpec(name="kd")


def test_every_choice_decides_the_content_key() -> None:
    specs = [
        None, DpkSettings(), IMAGENET_DPK, DpkSettings(temperature=2.0), DpkSettings(share=ShareSettings(lag=True)),
        DpkSettings(share=ShareSettings(schedule="random")),
        DpkSettings(stages=(StageSettings(name="last", weight=1.0),)),
        DpkSettings(extra_losses=(ExtraLoss(name="at", weight=0.5),)),
        DpkSettings(extra_losses=(ExtraLoss(name="sp", weight=0.5),)),
        DpkSettings(extra_losses=(ExtraLoss(name="at", weight=1.0),)),
    ]  # fmt: skip
    assert len({content_key(MethodSpec(name="dpk", dpk=settings)) for settings in specs}) == len(specs)


def test_settings_come_back_from_json() -> None:
    assert from_json(DpkSettings, to_json(DpkSettings())) == DpkSettings()


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (ShareSettings, {"floor": 1.2}, "floor is a share and must be in 0 … 1, not 1.2"),
        (ShareSettings, {"value": -0.1}, "value is a share"),
        (ShareSettings, {"least_cka": 1.0}, "least_cka must be at least 0 and below 1"),
        (ShareSettings, {"schedule": "fixed", "lag": True}, "lag is for a share that follows CKA; 'fixed' does not"),
        (ShareSettings, {"schedule": "exponential", "end": 0.0}, "needs a start and an end above 0"),
        (ShareSettings, {"levels": 1}, "levels must be at least 2"),
        (TransformerSize, {"width": 10, "depth": 1, "heads": 4}, "width 10 cannot be split into 4 heads"),
        (TransformerSize, {"width": 8, "depth": 0, "heads": 4}, "depth and heads at least 1"),
        (StageSettings, {"name": "last", "weight": -1.0}, "weight of stage last must not be negative"),
        (StageSettings, {"name": "last", "weight": 1.0, "patch": 0}, "patch size of stage last must be at least 1"),
        (DpkSettings, {"logit_weight": -1.0}, "logit_weight must not be negative"),
        (DpkSettings, {"temperature": 0.0}, "temperature must be above 0"),
        (DpkSettings, {"stages": ()}, "stages must be one or more different ones"),
        (DpkSettings, {"stages": (StageSettings(name="last", weight=1.0),) * 2}, "different ones"),
        (
            ExtraLoss,
            {"name": "fitnet", "weight": 1.0},
            "'fitnet' is not one of the extra losses at, sp, rkd, dkd",
        ),
        (ExtraLoss, {"name": "at", "weight": -0.1}, "weight of the extra loss at must be 0 or more, not -0.1"),
        (ExtraLoss, {"name": "at", "weight": float("nan")}, "must be 0 or more, not nan"),
        (DpkSettings, {"extra_losses": (ExtraLoss(name="at", weight=1.0),) * 2}, "extra losses must be different ones"),
    ],
)
def test_a_choice_that_cannot_be_is_refused(kind: type[Any], values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**values)


def test_only_dpk_and_its_arms_take_settings() -> None:
    assert MethodSpec(name="dpk_features_only", dpk=DpkSettings()).dpk == DpkSettings()
    with pytest.raises(ValueError, match="method 'kd' takes no settings of DPK"):
        MethodSpec(name="kd", dpk=DpkSettings())
