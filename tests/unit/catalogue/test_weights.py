"""Weights by name: what is found without torch, and what is said where there is nothing to find."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from dpk_core.catalogue import weights
from dpk_core.catalogue.fitting import MadeFor
from dpk_core.catalogue.parameters import weights_card
from dpk_core.catalogue.weight_names import join_weights, split_weights
from dpk_core.catalogue.weights import FoundWeights, file_identity, find_weights, word_for
from dpk_core.errors import InvalidRequest
from dpk_core.models.build import build_model
from dpk_core.spec import Start

MODEL = "cifar/resnet8w4"


def saved(root: Path, name: str, model: str = MODEL, classes: int = 10) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(build_model(model, classes=classes, channels=1, seed=0).state_dict(), path)
    return path


def refused(word: str, root: Path | None, model: str = MODEL) -> str:
    with pytest.raises(InvalidRequest) as raised:
        find_weights(model, word, root, "teachers[1].weights")
    assert raised.value.field == "teachers[1].weights"
    return raised.value.message


@pytest.mark.parametrize(
    ("name", "parts", "canonical"),
    [
        ("a/b", ("a/b", "random"), "a/b"),
        ("a/b@random", ("a/b", "random"), "a/b"),
        ("a/b@pretrained", ("a/b", "pretrained"), "a/b@pretrained"),
        ("a/b@file:c/d@e", ("a/b", "file:c/d@e"), "a/b@file:c/d@e"),
    ],
)
def test_a_name_says_model_and_weights(name: str, parts: tuple[str, str], canonical: str) -> None:
    assert split_weights(name) == parts
    assert join_weights(*parts) == canonical


class TestFiles:
    def test_a_file_is_known_by_its_content_and_its_head(self, tmp_path: Path) -> None:
        digest = hashlib.sha256(saved(tmp_path, "mine/a.safetensors", classes=7).read_bytes()).hexdigest()
        start = Start(source="file", name="mine/a.safetensors", identity=f"sha256:{digest}")
        found = find_weights(MODEL, "file:mine/a.safetensors", tmp_path, "weights")
        assert found == FoundWeights(start=start, made_for=MadeFor(classes=7, channels=1))

    def test_a_changed_file_has_another_identity(self, tmp_path: Path) -> None:
        path = saved(tmp_path, "a")
        before = file_identity(path, "a", "weights")
        saved(tmp_path, "a", classes=11)
        assert file_identity(path, "a", "weights") != before

    def test_numbers_that_are_not_finite_are_named(self, tmp_path: Path) -> None:
        broken = build_model(MODEL, classes=10, channels=1, seed=0).state_dict()
        broken["stages.1.0.conv1.weight"][0, 0, 0, 0] = torch.nan
        save_file(broken, tmp_path / "nan")
        message = "The weights nan hold numbers that are not finite (stages.1.0.conv1.weight)"
        assert message in refused("file:nan", tmp_path)

    def test_what_a_file_holds_is_read_once(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        saved(tmp_path, "a")
        first = find_weights(MODEL, "file:a", tmp_path, "weights")
        weights._content.cache_clear()
        monkeypatch.setattr(weights, "read_content", None)
        assert find_weights(MODEL, "file:a", tmp_path, "weights") == first

    def test_a_pytorch_file_is_not_read_under_the_ending_of_another_kind(self, tmp_path: Path) -> None:
        torch.save({"state_dict": {}}, tmp_path / "a.safetensors")
        assert "it is a PyTorch file (a pickle) under another ending; name it .pth" in refused(
            "file:a.safetensors", tmp_path
        )

    def test_what_is_no_such_file_is_said(self, tmp_path: Path) -> None:
        inside = tmp_path / "root"
        saved(tmp_path, "outside.safetensors")
        saved(inside, "other", model="cifar/resnet14w8")
        saved(inside, "wide", model="cifar/resnet8w8")
        (inside / "text").write_text("no tensors")
        (inside / "link").symlink_to(tmp_path / "outside.safetensors")
        assert "set DPK_WEIGHTS_ROOT" in refused("file:a", None)
        for missing in ("a", "", "a\0b", "."):
            assert "under the weights root" in refused(f"file:{missing}", inside)
        for outside in ("../outside.safetensors", str(tmp_path / "outside.safetensors"), "link"):
            assert "outside the weights root" in refused(f"file:{outside}", inside)
        assert "cannot be read: it does not begin with a header" in refused("file:text", inside)
        for another in ("other", "wide"):
            assert f"do not fit {MODEL}" in refused(f"file:{another}", inside)

    def test_another_word_is_no_weights(self, tmp_path: Path) -> None:
        assert "not 'imagenet'" in refused("imagenet", tmp_path)
        with pytest.raises(InvalidRequest, match=r"published for timm/resnet18: a1_in1k, .*; not 'a9_in1k'") as raised:
            find_weights("timm/resnet18", "a9_in1k", None, "weights")
        assert (raised.value.nearest or "").endswith("_in1k")
        assert find_weights(MODEL, "random", None, "weights") is None


class TestPublished:
    def test_where_there_are_none_that_is_said(self) -> None:
        for model in (MODEL, "timm/coatnet_0_224", "torchvision/googlenet"):
            assert "no published weights" in refused("pretrained", None, model)

    def test_they_must_be_in_the_cache_or_be_fetched(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        for name in ("TORCH_HOME", "HF_HOME", "HF_HUB_CACHE", "DPK_DOWNLOAD"):
            monkeypatch.delenv(name, raising=False)
        kept = {
            "torchvision/resnet18": tmp_path / "torch/hub/checkpoints/resnet18-f37072fd.pth",
            "timm/resnet18": tmp_path / "huggingface/hub/models--timm--resnet18.a1_in1k/snapshots/x/model.safetensors",
        }
        for model, path in kept.items():
            assert "not in the hub cache here" in refused("pretrained", None, model)
            path.parent.mkdir(parents=True)
            path.touch()
            found = find_weights(model, "pretrained", None, "weights")
            assert found is not None
            assert (found.start.source, found.made_for.classes) == ("pretrained", 1000)
            assert found.start.identity.split()[0] == model.split("/")[0]
            path.unlink()
            monkeypatch.setenv("DPK_DOWNLOAD", "1")
            assert find_weights(model, "pretrained", None, "weights") == found
            monkeypatch.delenv("DPK_DOWNLOAD")


def test_another_tag_is_other_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DPK_DOWNLOAD", "1")
    for model, tag, name in (
        ("timm/resnet50", "a2_in1k", "resnet50.a2_in1k"),
        ("torchvision/resnet50", "IMAGENET1K_V1", "resnet50-0676ba61.pth"),
    ):
        found = find_weights(model, tag, None, "weights")
        default = find_weights(model, "pretrained", None, "weights")
        assert found is not None
        assert default is not None
        assert (found.start.name, found.start.name != default.start.name) == (name, True)
        assert [word_for(model, each) for each in (found.start, default.start, None)] == [tag, "pretrained", "random"]


def test_weights_that_are_no_longer_published_are_still_named() -> None:
    gone = Start(source="pretrained", name="resnet50.gone", identity="timm 0.9")
    assert [word_for(model, gone) for model in ("timm/resnet50", "timm/gone")] == ["pretrained", "pretrained"]


def test_a_head_is_what_the_number_of_classes_shapes() -> None:
    for model in ("cifar/vgg8", "timm/deit_tiny_distilled_patch16_224", "torchvision/squeezenet1_1"):
        heads = [build_model(model, classes=classes, channels=3, seed=0).state_dict() for classes in (7, 9)]
        shaped = {key: tuple(value.shape[1:]) for key, value in heads[0].items() if value.shape != heads[1][key].shape}
        assert dict(weights_card(model, "weights").head) == shaped
