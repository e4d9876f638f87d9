"""The sweep over the libraries' models: what a row says, and that it goes on where it stopped."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from benchmarks import sweep_models
from benchmarks.sweep_models import Role, attempt, main, smallest_side, targets
from dpk_core.models.build import FAMILIES

ROLES: tuple[Role, ...] = ("student", "teacher")


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", ["torchvision/squeezenet1_1", "timm/vit_tiny_patch16_224"])
def test_a_model_that_works(name: str, role: Role) -> None:
    row = attempt(name, role)
    assert (row["works"], row["reason"]) == (True, None)


@pytest.mark.parametrize("role", ROLES)
def test_a_model_without_taps_has_the_reason_of_preflight(role: Role) -> None:
    row = attempt("timm/tnt_s_patch16_224", role)
    assert not row["works"]
    assert row["reason"].startswith("pre-flight: timm/tnt_s_patch16_224 has no feature maps to tap")


class Wrong(nn.Module):
    """Two maps; `fault` breaks the loss, cuts the gradient or raises."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.stages = nn.Sequential(nn.Conv2d(3, 4, 2, 2), nn.Conv2d(4, 4, 2, 2), nn.Conv2d(4, 4, 2, 2))
        self.head = nn.Linear(4, 10)
        self.fault = fault

    def forward(self, pictures_BCHW: torch.Tensor) -> torch.Tensor:
        if self.fault == "raises" and self.training:
            raise ValueError("first line\nsecond line")
        map_BCHW = self.stages(pictures_BCHW)
        logits_BC: torch.Tensor = self.head(map_BCHW.mean(dim=(2, 3)))
        return logits_BC * torch.nan if self.fault == "nan" else logits_BC


@pytest.mark.parametrize(("fault", "reason"), [("nan", "the loss is nan"), ("raises", "ValueError: first line")])
def test_a_model_that_fails_says_how(monkeypatch: pytest.MonkeyPatch, fault: str, reason: str) -> None:
    monkeypatch.setitem(FAMILIES, "cifar", lambda *_: Wrong(fault))
    row = attempt("cifar/plain6", "student")
    assert (row["works"], row["reason"]) == (False, reason)


def test_pictures_are_as_small_as_the_model_allows() -> None:
    assert smallest_side("cifar/resnet20") == 32
    assert smallest_side("timm/resnet18") == 32
    assert smallest_side("torchvision/alexnet") == 64
    assert smallest_side("torchvision/maxvit_t") == 224


def test_every_torchvision_classifier_is_a_target() -> None:
    assert {"torchvision/swin_t", "torchvision/resnet152"} < set(targets("torchvision"))


def test_it_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tried: list[tuple[str, str]] = []

    def fake(name: str, role: Role) -> dict[str, Any]:
        tried.append((name, role))
        return {"name": name, "role": role, "side": 32, "works": role == "student", "reason": None, "seconds": 0.5}

    monkeypatch.setattr(logging.root.manager, "disable", logging.NOTSET)  # put back: the command silences libraries
    monkeypatch.setattr("gc.collect", lambda: 0)  # seconds each in a process that ran many tests
    monkeypatch.setattr(sweep_models, "RESULT", tmp_path / "sweep.json")
    monkeypatch.setattr(sweep_models, "targets", lambda library: [f"{library}/a", f"{library}/b"])
    monkeypatch.setattr(sweep_models, "attempt", fake)
    for arguments in (["--family", "timm", "--limit", "1"], ["--family", "timm"], []):
        monkeypatch.setattr("sys.argv", ["sweep", *arguments])
        main()
    assert tried == [
        (f"{library}/{name}", role) for library in ("timm", "torchvision") for name in "ab" for role in ROLES
    ]
    result = json.loads((tmp_path / "sweep.json").read_text())
    assert result["models"] == ["timm/a", "timm/b", "torchvision/a", "torchvision/b"]
    assert [(target["value"], target["target"], target["met"]) for target in result["targets"]] == [
        (4, 4, True), (0, 0, True), (4, 4, True), (4, 0, False),
    ]  # fmt: skip
    assert (result["measured"], result["works"]) == ({"student": 4, "teacher": 4}, {"student": 4, "teacher": 0})
    assert len(capsys.readouterr().out.splitlines()) == 8
