"""Feature taps: the maps of the run, and nothing left behind."""

import pytest
import torch

from dpk_core.catalogue.models import model_card
from dpk_core.errors import InvalidRequest
from dpk_core.models.build import build_model
from dpk_core.models.taps import FeatureTaps, last_tap


def model() -> torch.nn.Module:
    return build_model("cifar/resnet8", classes=10, channels=1, seed=0).eval()


def hooks(model: torch.nn.Module) -> int:
    return sum(len(module._forward_hooks) for module in model.modules())


def test_maps_are_the_stages_outputs_after_their_relu() -> None:
    network, x = model(), torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), FeatureTaps(network, ["stages.0", "stages.1", "stages.2"]) as taps:
        logits = network(x)
    assert [tuple(m.shape) for m in taps.maps] == [(2, 16, 8, 8), (2, 32, 4, 4), (2, 64, 2, 2)]
    assert all((m >= 0).all() and (m == 0).any() for m in taps.maps)
    expected = network.get_submodule("head")(taps.maps[-1].mean(dim=(2, 3)))
    assert torch.equal(expected, logits)
    assert torch.equal(network(x), logits)


def test_maps_come_in_the_order_of_the_names_and_carry_gradient() -> None:
    network = model()
    with FeatureTaps(network, ["stages.2", "stages.0"]) as taps:
        network(torch.ones(1, 1, 8, 8))
    assert [m.shape[1] for m in taps.maps] == [64, 16]
    assert all(m.requires_grad for m in taps.maps)


def test_hooks_are_gone_after_the_block_and_after_an_error() -> None:
    network = model()
    with FeatureTaps(network, ["stages.0"]):
        assert hooks(network) == 1
    assert hooks(network) == 0
    with pytest.raises(RuntimeError), FeatureTaps(network, ["stages.0", "stages.1"]):
        network(torch.ones(1, 3, 8, 8))
    assert hooks(network) == 0


def test_an_unknown_module_is_refused_and_leaves_no_hook() -> None:
    network = model()
    with pytest.raises(AttributeError), FeatureTaps(network, ["stages.0", "stages.9"]):
        pass
    assert hooks(network) == 0


def test_outputs_that_are_no_maps_are_refused() -> None:
    network = model()
    with FeatureTaps(network, ["head"]) as taps:
        network(torch.ones(1, 1, 8, 8))
    with pytest.raises(RuntimeError, match="no BxCxHxW map at 'head'"):
        _ = taps.maps


def test_the_last_tap_is_the_deepest() -> None:
    last = last_tap("cifar/resnet20")
    assert (last.module, last.channels, last.stride) == ("stages.2", 64, 4)


def test_a_model_without_maps_is_refused_with_its_reason() -> None:
    with pytest.raises(InvalidRequest, match="single feature map"):
        last_tap("timm/tnt_s_patch16_224")


TRANSFORMERS = {
    "timm/vit_tiny_patch16_224": 32,  # a class token
    "timm/deit_tiny_distilled_patch16_224": 32,  # and a distillation token
    "timm/vit_small_patch14_reg4_dinov2": 28,  # and four registers
    "torchvision/vit_b_16": 32,
    "timm/swin_tiny_patch4_window7_224": 64,  # channels last
    "torchvision/swin_t": 64,
    "timm/mvitv2_tiny": 64,  # tokens beside their map's size
    "timm/convnext_atto": 64,
}


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_tokens_and_channels_last_become_maps(name: str) -> None:
    side = TRANSFORMERS[name]
    taps_of_card = model_card(name, "student").taps[-2:]
    with torch.device("meta"):
        network = build_model(name, classes=10, channels=3, seed=0, side=side).eval()
        with torch.no_grad(), FeatureTaps(network, taps_of_card) as taps:
            network(torch.zeros(2, 3, side, side))
    expected = [(2, tap.channels, tap.side(side), tap.side(side)) for tap in taps_of_card]
    assert [tuple(m.shape) for m in taps.maps] == expected


def test_a_vits_map_is_its_tokens_in_their_places_without_the_class_token() -> None:
    name = "timm/vit_tiny_patch16_224"
    network = build_model(name, classes=10, channels=1, seed=0, side=64).eval()
    last = model_card(name, "student").taps[-1]
    outputs: list[torch.Tensor] = []
    network.get_submodule(last.module).register_forward_hook(lambda *call: outputs.append(call[2]))
    with FeatureTaps(network, [last]) as taps:
        network(torch.randn(2, 1, 64, 64, generator=torch.Generator().manual_seed(0)))
    (map_BCHW,) = taps.maps
    assert map_BCHW.shape == (2, 192, 4, 4)
    assert torch.equal(map_BCHW[:, :, 1, 2], outputs[0][:, 1 + 4 + 2])
    assert map_BCHW.requires_grad
