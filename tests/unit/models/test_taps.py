"""Feature taps: the maps of the run, and nothing left behind."""

import pytest
import torch

from dpk_core.errors import InvalidRequest
from dpk_core.models.build import build_model
from dpk_core.models.taps import FeatureTaps, two_taps


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


def test_two_taps_are_the_second_last_and_the_last() -> None:
    second_last, last = two_taps("cifar/resnet20")
    assert (second_last.module, second_last.channels, second_last.stride) == ("stages.1", 32, 2)
    assert (last.module, last.channels, last.stride) == ("stages.2", 64, 4)


def test_a_model_without_maps_is_refused_with_its_reason() -> None:
    with pytest.raises(InvalidRequest, match="token sequences"):
        two_taps("timm/vit_base_patch16_224")
