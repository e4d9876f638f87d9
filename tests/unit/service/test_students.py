"""What goes with an exported student: a configuration that timm reads, and the licences that are stated."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import safetensors.torch
import timm
import torch

from dpk_core.models.build import build_model
from dpk_core.protocol import Preprocessing
from dpk_core.runner.student_folder import read_student
from dpk_core.spec import Start
from service.settings import Settings
from service.students import service
from tests.unit.catalogue.picture_sets import write_folder
from tests.unit.service.test_plan_and_progress import PLAN

SIDE = 32


def exported(folder: Path, model: str, channels: int) -> torch.nn.Module:
    """The student's own network, whose folder is written."""
    network = build_model(model, classes=10, channels=channels, seed=1, side=SIDE).eval()
    seen = Preprocessing(
        channels=channels, side=SIDE, mean=(51.0,) * channels, deviation=(102.0,) * channels, classes=10
    )
    config = service.with_timm(service._config(replace(PLAN, student=model), seen))
    safetensors.torch.save_file(network.state_dict(), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    return network


@pytest.mark.parametrize(
    ("model", "channels"), [("timm/resnet10t", 1), ("timm/resnet10t", 3), ("timm/vit_tiny_patch16_224", 1)]
)
def test_timm_builds_its_own_models_from_the_folder(
    embedded: Callable[..., Settings], tmp_path: Path, model: str, channels: int
) -> None:
    embedded()
    network = exported(tmp_path, model, channels)
    found = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).eval()
    pictures_BCHW = torch.rand(2, channels, SIDE, SIDE)
    with torch.no_grad():
        assert found(pictures_BCHW).equal(network(pictures_BCHW))
    said: Any = found.pretrained_cfg
    assert [list(said[name]) for name in ("input_size", "mean", "std")] == [
        [channels, SIDE, SIDE], [0.2] * channels, [0.4] * channels,
    ]  # fmt: skip
    assert said["label_names"] == [str(digit) for digit in range(10)]
    read = read_student(tmp_path)
    assert (read.architecture, read.channels, read.classes) == (model, channels, 10)


def test_another_model_is_named_once(embedded: Callable[..., Settings]) -> None:
    embedded()
    seen = Preprocessing(channels=1, side=8, mean=(51.0,), deviation=(102.0,), classes=10)
    config = service.with_timm(service._config(PLAN, seen))
    assert config["model"] == config["architecture"] == PLAN.student
    assert "pretrained_cfg" not in config


class TestLicences:
    @pytest.fixture(autouse=True)
    def settings(self, embedded: Callable[..., Settings], tmp_path: Path) -> Settings:
        (tmp_path / "weights").mkdir()
        return embedded(data_root=tmp_path, weights_root=tmp_path / "weights")

    def test_of_data(self, tmp_path: Path) -> None:
        folder = write_folder(tmp_path, "pets")
        assert service._licences(PLAN, None) == {
            "the data set digits": "CC BY 4.0 (UCI, Optical Recognition of Handwritten Digits)"
        }
        plan = replace(PLAN, dataset="folder/pets")
        assert service._licences(plan, None) == {"the data set folder/pets": None}
        (folder / "dataset.json").write_text('{"license": "CC0"}')
        assert service._licences(plan, None) == {"the data set folder/pets": "CC0"}
        (folder / "dataset.json").write_text("{")
        assert service._licences(plan, None) == {"the data set folder/pets": None}

    def test_of_published_weights_and_of_a_file(self, tmp_path: Path) -> None:
        published = Start(source="pretrained", name="resnet18.fb_ssl_yfcc100m_ft_in1k", identity="timm")
        teacher = PLAN.arms[0]
        assert teacher is not None
        prepared = replace(
            PLAN.preparation(teacher), start=Start(source="file", name="mine.safetensors", identity="sha256:0")
        )
        plan = replace(PLAN, student="timm/resnet18", student_start=published, preparations={teacher: prepared})
        mine = f"the weights {prepared.model}@file:mine.safetensors"
        ssl = "the weights timm/resnet18@fb_ssl_yfcc100m_ft_in1k"
        found = service._licences(plan, teacher)
        assert (found[ssl], found[mine]) == ("cc-by-nc-4.0", None), "a file that is gone"
        safetensors.torch.save_file({"a": torch.zeros(1)}, tmp_path / "weights" / "mine.safetensors")
        assert service._licences(plan, teacher)[mine] is None
        (tmp_path / "weights" / "mine.json").write_text('{"license": "MIT"}')
        assert service._licences(plan, teacher)[mine] == "MIT"
        assert list(service._licences(plan, None)) == ["the data set digits", ssl]


def test_the_address_of_weights_holds_any_file_name() -> None:
    label = "timm/resnet18@file:a+b&c#d.pth"
    query = parse_qs(urlsplit(service.weights_path("1", label, 2)).query)
    assert query == {"teacher": [label], "seed": ["2"]}
    assert service.weights_path("1", None, 2) == "/selection-jobs/1/student/weights?seed=2"
