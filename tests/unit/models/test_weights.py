"""Trained weights: from the libraries' caches and from local files, and what is said where they do not fit."""

from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from dpk_core.errors import InvalidRequest
from dpk_core.models.build import build_model
from dpk_core.models.weights import WeightedModel, Weights, build_with_weights

NAME = "cifar/resnet8w4"


def built(weights: Weights, name: str = NAME, classes: int = 10, channels: int = 1, seed: int = 2) -> WeightedModel:
    return build_with_weights(name, classes=classes, channels=channels, seed=seed, weights=weights)


def saved(path: Path, name: str = NAME, classes: int = 10, channels: int = 1) -> nn.Module:
    model = build_model(name, classes=classes, channels=channels, seed=1)
    save_file(model.state_dict(), path)
    return model


def equal(one: nn.Module, other: nn.Module, but: tuple[str, ...] = ()) -> bool:
    theirs = other.state_dict()
    return all(torch.equal(tensor, theirs[key]) for key, tensor in one.state_dict().items() if key not in but)


class TestLocalFile:
    def test_every_weight_is_the_files(self, tmp_path: Path) -> None:
        original = saved(tmp_path / "a.safetensors")
        loaded = built(tmp_path / "a.safetensors")
        assert equal(loaded.model, original)
        assert (loaded.replaced, loaded.notes) == ((), ())

    def test_a_head_for_other_classes_is_new_and_that_is_said(self, tmp_path: Path) -> None:
        original = saved(tmp_path / "a.safetensors", classes=7)
        loaded = built(tmp_path / "a.safetensors")
        assert loaded.replaced == ("head.weight", "head.bias")
        assert equal(loaded.model, original, but=loaded.replaced)
        random_head = build_model(NAME, classes=10, channels=1, seed=2).get_submodule("head")
        assert equal(loaded.model.get_submodule("head"), random_head)
        assert "made for 7 classes, not 10" in loaded.notes[0]

    def test_another_models_weights_are_refused(self, tmp_path: Path) -> None:
        saved(tmp_path / "a.safetensors", name="cifar/resnet14w8")
        with pytest.raises(InvalidRequest, match=r"they hold 'stages.0.1.conv1.weight' and \d+ more, which"):
            built(tmp_path / "a.safetensors")
        saved(tmp_path / "a.safetensors")
        with pytest.raises(InvalidRequest, match=r"they lack 'stages.0.1.conv1.weight' and \d+ more"):
            built(tmp_path / "a.safetensors", name="cifar/resnet14w8")

    def test_other_widths_are_refused_and_named(self, tmp_path: Path) -> None:
        saved(tmp_path / "a.safetensors", name="cifar/resnet8w8")
        with pytest.raises(
            InvalidRequest, match=r"'stem.0.weight' has the shape \(8, 1, 3, 3\), and the model's has \(4, 1"
        ):
            built(tmp_path / "a.safetensors")

    def test_a_layer_as_wide_as_the_classes_is_no_head(self, tmp_path: Path) -> None:
        saved(tmp_path / "a.safetensors", name="cifar/resnet8w8", classes=4)
        with pytest.raises(InvalidRequest, match="do not fit"):
            built(tmp_path / "a.safetensors", classes=4)

    def test_a_prefix_is_left_out_and_that_is_said(self, tmp_path: Path) -> None:
        original = saved(tmp_path / "a.safetensors")
        wrapped = {f"module.{key}": value for key, value in original.state_dict().items()}
        save_file(wrapped, tmp_path / "w.safetensors")
        loaded = built(tmp_path / "w.safetensors")
        assert equal(loaded.model, original)
        assert "begin with 'module.', which was left out" in loaded.notes[0]

    def test_half_precision_and_missing_counters_are_taken_as_torch_takes_them(self, tmp_path: Path) -> None:
        state = build_model(NAME, classes=10, channels=1, seed=1).half().state_dict()
        counters = {key for key in state if key.endswith("num_batches_tracked")}
        assert counters
        save_file({key: value for key, value in state.items() if key not in counters}, tmp_path / "h.safetensors")
        loaded = built(tmp_path / "h.safetensors").model.state_dict()
        for key, value in loaded.items():
            assert torch.equal(value, torch.zeros_like(value) if key in counters else state[key].float())

    def test_grey_pictures_go_through_a_folded_first_convolution(self, tmp_path: Path) -> None:
        original = saved(tmp_path / "a.safetensors", channels=3).eval()
        loaded = built(tmp_path / "a.safetensors")
        assert loaded.notes == ("Its first convolution was folded from 3 channels to 1.",)
        grey = torch.rand(2, 1, 8, 8)
        torch.testing.assert_close(loaded.model.eval()(grey), original(grey.expand(-1, 3, -1, -1)))
        saved(tmp_path / "g.safetensors", channels=1)
        with pytest.raises(InvalidRequest, match="takes pictures of 1 channel; these have 3"):
            built(tmp_path / "g.safetensors", channels=3)

    def test_a_transformer_of_another_size_is_refitted_as_published_weights_are(self, tmp_path: Path) -> None:
        model = build_model("timm/test_vit3", classes=10, channels=3, seed=1, side=32)
        path = tmp_path / "a.safetensors"
        save_file(model.state_dict(), path)
        loaded = build_with_weights("timm/test_vit3", classes=10, channels=3, seed=2, side=64, weights=path)
        overlay = {"file": str(path), "num_classes": 10}
        timms = timm.create_model(
            "test_vit3.r160_in1k", pretrained=True, num_classes=10, img_size=64, pretrained_cfg_overlay=overlay
        )
        assert equal(loaded.model, timms)
        assert "made for pictures of 32x32, was resampled for 64x64" in loaded.notes[0]

    def test_what_cannot_be_refitted_is_refused_with_the_sizes(self, tmp_path: Path) -> None:
        name = "timm/mixer_s32_224"
        save_file(build_model(name, classes=10, channels=3, seed=1, side=64).state_dict(), tmp_path / "a.safetensors")
        with pytest.raises(InvalidRequest, match=r"made for pictures of 64x64; these are 96x96.*size=64"):
            build_with_weights(name, classes=10, channels=3, seed=2, side=96, weights=tmp_path / "a.safetensors")

    def test_a_class_map_turns_the_heads_rows(self, tmp_path: Path) -> None:
        original = saved(tmp_path / "a.safetensors", classes=7).eval()
        order = (6, 0, 3)
        loaded = build_with_weights(
            NAME, classes=3, channels=1, seed=2, weights=tmp_path / "a.safetensors", class_map=order
        )
        pictures = torch.rand(2, 1, 8, 8)
        torch.testing.assert_close(loaded.model.eval()(pictures), original(pictures)[:, order])
        assert loaded.replaced == ()

    def test_numbers_that_are_not_finite_are_refused(self, tmp_path: Path) -> None:
        state = build_model(NAME, classes=10, channels=1, seed=1).state_dict()
        state["head.bias"][3] = torch.inf
        save_file(state, tmp_path / "a.safetensors")
        with pytest.raises(InvalidRequest, match=r"a\.safetensors hold numbers that are not finite \(head\.bias\)"):
            built(tmp_path / "a.safetensors")

    @pytest.mark.parametrize("content", [None, b"no tensors here"])
    def test_a_missing_or_broken_file_is_one_sentence(self, tmp_path: Path, content: bytes | None) -> None:
        path = tmp_path / "a.safetensors"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(InvalidRequest, match=r"a\.safetensors cannot be read") as caught:
            built(path)
        assert caught.value.field == "weights"


def test_random_weights_are_those_of_build_model() -> None:
    assert equal(built("random").model, build_model(NAME, classes=10, channels=1, seed=2))


class TestPublished:
    @pytest.mark.parametrize("name", ["cifar/resnet20", "timm/coatnet_0_224"])
    def test_where_none_are_published_that_is_said(self, name: str) -> None:
        with pytest.raises(InvalidRequest, match=f"no published weights of {name}; take random weights or"):
            built("pretrained", name=name)

    @pytest.mark.parametrize(
        ("library", "factory", "error"),
        [("timm", (timm, "create_model"), ConnectionError()), ("torchvision", (torchvision.models, "get_model"), None)],
    )
    def test_no_network_is_one_sentence(
        self, monkeypatch: pytest.MonkeyPatch, library: str, factory: tuple[Any, str], error: Exception | None
    ) -> None:
        original = getattr(*factory)

        def offline(*names: str, **options: Any) -> Any:
            if options.get("pretrained") or options.get("weights"):
                raise error or URLError("no network")
            return original(*names, **options)

        monkeypatch.setattr(*factory, offline)
        with pytest.raises(InvalidRequest, match="not in the hub cache and cannot be downloaded here") as caught:
            built("pretrained", name=f"{library}/resnet18")
        assert caught.value.field == "weights"

    def test_torchvisions_come_from_its_cache(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        original = torchvision.models.squeezenet1_1()
        url = torchvision.models.get_model_weights("squeezenet1_1").DEFAULT.url
        (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
        torch.save(original.state_dict(), tmp_path / "hub" / "checkpoints" / url.rpartition("/")[2])
        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        whole = built("pretrained", name="torchvision/squeezenet1_1", classes=1000)
        assert equal(whole.model, original)
        assert whole.replaced == ()
        ten = built("pretrained", name="torchvision/squeezenet1_1")
        assert ten.replaced == ("classifier.1.weight", "classifier.1.bias")
        assert equal(ten.model, original, but=ten.replaced)

    def test_timms_come_by_its_own_mechanism(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        original = saved(tmp_path / "a.safetensors", name="timm/resnet10t", classes=1000, channels=3)
        create = timm.create_model

        def cached(*names: str, **options: Any) -> Any:
            assert names == ("resnet10t.c3_in1k",)
            return create(*names, **options, pretrained_cfg_overlay={"file": str(tmp_path / "a.safetensors")})

        monkeypatch.setattr(timm, "create_model", cached)
        whole = built("pretrained", name="timm/resnet10t", classes=1000, channels=3)
        assert equal(whole.model, original)
        assert (whole.replaced, whole.notes) == ((), ())
        ten = built("pretrained", name="timm/resnet10t", channels=1)
        assert ten.replaced == ("fc.weight", "fc.bias")
        assert equal(ten.model, original, but=(*ten.replaced, "conv1.0.weight"))
        assert [note.partition(" ")[0] for note in ten.notes] == ["Its", "The"]
        again = built("pretrained", name="timm/resnet10t", channels=1)
        assert equal(ten.model, again.model)
