"""Uploaded networks are the networks that were exported: same scores, same training, taps by their own module names."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from dpk_core.exported.archive import GRAPH, Refused
from dpk_core.models.exported import ExportedModel, unpacked
from dpk_core.models.vet import vet
from tests.unit.exported.archives import edited, graph, members, write
from tests.unit.exported.networks import ExcitedNet, Folded, TinyVit, excited, export

NAME, IDENTITY = "own/mine-00000000", "sha256:0"


def rebuilt(file: Path) -> ExportedModel:
    """The network of a file with the numbers in it."""
    program, state = unpacked(vet(NAME, IDENTITY, file)[1])
    model = ExportedModel(program)
    model.take(state, "parameter", "buffer", "constant")
    return model


def in_mode(network: nn.Module, pictures_BCHW: Tensor, *, training: bool) -> Tensor:
    network.train(training)
    torch.manual_seed(1)
    scores: Tensor = network(pictures_BCHW)
    return scores


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "excited.pt2"
    path.write_bytes(excited()[1])
    return path


@pytest.mark.parametrize("training", [False, True])
def test_it_computes_and_learns_what_its_source_does(tmp_path: Path, training: bool) -> None:
    source = ExcitedNet()
    model = rebuilt(export(source, tmp_path / "x.pt2", training=training))
    pictures_BCHW = torch.randn(5, 1, 8, 8)
    for mode in (False, True, False):
        ours, theirs = (in_mode(network, pictures_BCHW, training=mode) for network in (model, source))
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
    in_mode(model, pictures_BCHW, training=True).sum().backward()
    in_mode(source, pictures_BCHW, training=True).sum().backward()
    gradients = {name: parameter.grad for name, parameter in source.named_parameters()}
    assert gradients.keys() == dict(model.named_parameters()).keys()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[name])
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in source.state_dict().items())


def test_its_card_has_the_maps_of_its_own_modules(file: Path) -> None:
    document, _ = vet(NAME, IDENTITY, file)
    assert document.card == {
        "taps": [("stages.0", 8, 1), ("stages.1", 16, 2), ("stages.2", 24, 4)], "sides": {"only": 8}, "channels": 1,
        "classes": None,
    }  # fmt: skip
    assert document.weights["head"] == {"head.weight": [24], "head.bias": []}
    assert document.weights["batch_norm"]
    head = 24 * 10 + 10
    assert document.count == sum(parameter.numel() for parameter in excited()[0].parameters()) - head


def test_a_transformer_comes_in_whole(tmp_path: Path) -> None:
    source = TinyVit()
    model = rebuilt(export(source, tmp_path / "vit.pt2", channels=3, side=16, training=True))
    pictures_BCHW = torch.randn(3, 3, 16, 16)
    for mode in (False, True):
        ours, theirs = (in_mode(network, pictures_BCHW, training=mode) for network in (model, source))
        torch.testing.assert_close(ours, theirs)
    draws = {leaf.name: leaf.draw for leaf in model.program.leaves}
    assert (draws["token"], draws["table"], draws["scale"]) == ("small", "small", "one")
    assert draws["blocks.0.self_attn.in_proj_weight"] == "linear"
    assert draws["blocks.0.norm1.weight"] == "one"


def test_pictures_of_any_size_where_it_was_exported_so(tmp_path: Path) -> None:
    content = members()
    side = {"as_expr": {"expr_str": "Mul(Integer(4), Symbol('s5', positive=True, integer=True))", "hint": None}}
    graph(lambda found: found["tensor_values"]["pictures"]["sizes"].__setitem__(slice(2, 4), [side, side]))(content)
    edited(GRAPH, lambda found: found["range_constraints"].update(s5={"min_val": 2, "max_val": None}))(content)
    file = write(tmp_path / "any.pt2", content)
    document, _ = vet(NAME, IDENTITY, file)
    assert document.card["sides"] == {"least": 8, "step": 4}
    assert document.card["taps"][0] == ("stages.0", 8, 1)


def test_parameters_are_drawn_by_layer_from_the_seed(file: Path) -> None:
    model = rebuilt(file)
    torch.manual_seed(0)
    model.draw()
    state = {key: value.clone() for key, value in model.state_dict().items()}
    torch.manual_seed(0)
    model.draw()
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    fan_out = 24 * 9
    assert float(state["stages.2.conv2.weight"].std()) == pytest.approx((2 / fan_out) ** 0.5, rel=0.1)
    assert 0.15 < float(state["head.weight"].abs().max()) <= 24**-0.5
    assert 0 < float(state["head.bias"].abs().max()) <= 24**-0.5
    assert bool((state["stem.1.weight"] == 1).all() and (state["stem.1.bias"] == 0).all())
    assert bool((state["stem.1.running_mean"] == 0).all() and (state["stem.1.running_var"] == 1).all())


def test_another_number_of_classes_takes_another_head(file: Path) -> None:
    program, _ = unpacked(vet(NAME, IDENTITY, file)[1])
    assert ExportedModel(program, classes=7).eval()(torch.zeros(2, 1, 8, 8)).shape == (2, 7)


class Scaling(nn.Module):
    """Scales its pictures in place, or a table of its own, through a view."""

    def __init__(self, pictures: bool) -> None:
        super().__init__()
        self.of_pictures = pictures
        self.register_buffer("table", torch.ones(1, 4))
        self.conv, self.norm, self.head = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 10)

    def forward(self, pictures: Tensor) -> Tensor:
        if self.of_pictures:
            pictures[:, 0].sub_(0.5).div_(0.2)
        else:
            self.get_buffer("table").view(-1).mul_(2)
        scores: Tensor = self.head(self.norm(self.conv(pictures)).mean((2, 3)) * self.table)
        return scores


@pytest.mark.parametrize(("pictures", "what"), [(True, "the pictures"), (False, "'table'")])
def test_what_is_changed_in_place_through_a_view_is_refused(tmp_path: Path, pictures: bool, what: str) -> None:
    with pytest.raises(Refused, match=rf"it changes {what} in place \(aten\.\w+_\)"):
        vet(NAME, IDENTITY, export(Scaling(pictures), tmp_path / "x.pt2"))


def test_batch_normalisation_without_a_momentum_is_refused(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, momentum=None), nn.Flatten(), nn.Linear(144, 10))
    with pytest.raises(Refused, match=r"'1' has no momentum, so its statistics would never be learned"):
        vet(NAME, IDENTITY, export(network, tmp_path / "x.pt2"))


def test_folded_batch_normalisation_is_refused_with_what_to_export(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"'bn' does nothing.*folded into the convolutions.*before it is fused"):
        vet(NAME, IDENTITY, export(Folded(), tmp_path / "x.pt2"))
