"""What validation pictures show of weights that are judged as they are, and that students see such teachers alike."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from dpk_core.catalogue.weights import file_identity
from dpk_core.distill.build import build_method
from dpk_core.distill.kd import Kd
from dpk_core.distill.tapped import TappedMethod
from dpk_core.models.build import build_model
from dpk_core.models.preprocessing import feed_as_trained
from dpk_core.preprocessing import COMMON_SCALINGS, ChannelOrder, ModelPreprocessing
from dpk_core.recipes import AS_IS
from dpk_core.runner import warm
from dpk_core.runner.as_is import _in_its_order, class_order, order_notice, scaling_notice
from dpk_core.spec import MethodName, MethodSpec, Start
from dpk_core.training.checkpoint import Saved, save_weights
from dpk_core.training.evaluate import EVALUATORS
from dpk_core.training.training import Training, begin
from tests.unit.training.tiny import STUDENT, TEACHER, deterministic, digits, spec

OWN = COMMON_SCALINGS["0 … 255"]
"""Of the teacher below. Digits are 0 … 16."""

pytestmark = pytest.mark.usefixtures("cold")


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    """As the runner computes."""
    with deterministic():
        yield


@functools.cache
def trained() -> dict[str, Tensor]:
    """A teacher's weights, trained in a few steps on pictures scaled as OWN says."""
    data = digits()
    with deterministic(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build_model(TEACHER, classes=10, channels=1, seed=0)
        handle = feed_as_trained(model, OWN, data.mean, data.std)
        optimiser = torch.optim.AdamW(model.parameters(), 0.01)
        for _ in range(5):
            for positions_B in torch.randperm(len(data.train)).split(64):
                optimiser.zero_grad()
                pictures = data.normalise(data.train.start_reading(positions_B)())
                F.cross_entropy(model(pictures), data.train.labels[positions_B]).backward()  # type: ignore[no-untyped-call]  # torch leaves it without annotations
                optimiser.step()
        handle.remove()
    return {name: each.clone() for name, each in model.state_dict().items()}


def judged(root: Path, own: ModelPreprocessing | None = None, order: list[int] | None = None) -> Training:
    """The teacher before it is judged as it is; `order`: of the classes in its file."""
    state = dict(trained())
    if order is not None:
        state |= {name: state[name][order] for name in ("head.weight", "head.bias")}
    save_file({name: each.contiguous() for name, each in state.items()}, root / "t.safetensors")
    start = Start(source="file", name="t.safetensors", identity=file_identity(root / "t.safetensors", "t", "x"))
    as_is = replace(spec(model=TEACHER), role="teacher", recipe=AS_IS, start=start, preprocessing=own)
    return begin(as_is, digits(), None, weights_root=root)


def accuracy(training: Training) -> float:
    return EVALUATORS["classification"].evaluate(training.model, training.data, training.data.validation).score


def test_weights_are_judged_as_they_were_trained(tmp_path: Path) -> None:
    plain, own = accuracy(judged(tmp_path)), accuracy(judged(tmp_path, OWN))
    assert own > 0.85
    assert plain < own - 0.1


def test_an_unknown_scaling_is_named_and_the_common_ones_compared(tmp_path: Path) -> None:
    unknown = judged(tmp_path)
    (notice,) = scaling_notice(unknown)
    assert notice.level == "warning"
    assert "The picture scaling of these weights is not known; the data set's own mean" in notice.message
    assert f"{accuracy(unknown):.1%} by the data set's own" in notice.message
    assert f"{accuracy(judged(tmp_path, OWN)):.1%} by 0 … 255" in notice.message
    assert "0 … 255 fits clearly better: give scale=255,mean=0,std=1 with the teacher." in notice.message
    assert unknown.preprocessing is None
    assert scaling_notice(judged(tmp_path, OWN)) == []


def test_a_scaling_is_measured_where_that_is_asked_for(tmp_path: Path) -> None:
    measured = judged(tmp_path, ModelPreprocessing(measured=True))
    (notice,) = scaling_notice(measured)
    assert "0 … 255 fits clearly best and is used (scale=255,mean=0,std=1)" in notice.message
    assert measured.preprocessing == OWN
    assert accuracy(measured) == accuracy(judged(tmp_path, OWN))


@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_a_measured_scaling_is_in_the_networks_order_of_channels(order: ChannelOrder) -> None:
    scaling = COMMON_SCALINGS["ImageNet's"]
    assert scaling.mean is not None
    found = _in_its_order(scaling, ModelPreprocessing(measured=True, channel_order=order))
    mean, std = torch.tensor([0.4, 0.5, 0.6]), torch.tensor([0.2, 0.3, 0.25])
    pictures = torch.rand(2, 3, 4, 4)
    looked_at, stored = nn.Identity(), nn.Identity()
    feed_as_trained(looked_at, ModelPreprocessing(channel_order=order), mean, std)
    feed_as_trained(looked_at, scaling, mean, std, first=True)
    feed_as_trained(stored, replace(found, channel_order=order), mean, std)
    torch.testing.assert_close(stored(pictures), looked_at(pictures))


def test_classes_in_another_order_are_named(tmp_path: Path) -> None:
    assert order_notice(judged(tmp_path, OWN)) == []
    turned = judged(tmp_path, OWN, [9, 0, 1, 2, 3, 4, 5, 6, 7, 8])
    (notice,) = order_notice(turned)
    assert notice.level == "warning"
    assert "stand in another order (turned by one)" in notice.message
    assert "Give class_map=1/2/3/4/5/6/7/8/9/0 with the teacher" in notice.message


def test_without_scipy_their_order_is_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    (notice,) = order_notice(judged(tmp_path, OWN))
    assert "was not looked at: scipy is not installed" in notice.message


def test_an_order_is_no_chance_find() -> None:
    chance = np.random.default_rng(0)
    labels, noise = chance.integers(0, 20, 400), chance.integers(0, 20, 400)
    assert class_order(noise, labels, 20) is None
    weak = np.where(chance.random(400) < 0.3, labels, noise)
    assert class_order(weak, labels, 20) is None
    swapped = np.where(weak == 3, 4, np.where(weak == 4, 3, weak))
    assert class_order(swapped, labels, 20) is None, "two of twenty classes, mostly wrong anyway: within noise"
    found = class_order((weak + 5) % 20, labels, 20)
    assert found is not None
    assert found.order == tuple((place + 5) % 20 for place in range(20))


def test_a_class_map_puts_them_right(tmp_path: Path) -> None:
    turned = judged(tmp_path, OWN, [9, 0, 1, 2, 3, 4, 5, 6, 7, 8])
    right = begin(replace(turned.spec, class_map=(1, 2, 3, 4, 5, 6, 7, 8, 9, 0)), digits(), None, weights_root=tmp_path)
    wrong = begin(replace(turned.spec, class_map=(0, 1, 2, 3, 4, 5, 6, 7, 8, 9)), digits(), None, weights_root=tmp_path)
    (notice,) = order_notice(wrong)
    assert "Give class_map=1/2/3/4/5/6/7/8/9/0 with" in notice.message
    assert accuracy(turned) < 0.2
    assert accuracy(right) == accuracy(judged(tmp_path, OWN))


def lent(root: Path, own: ModelPreprocessing | None) -> nn.Module:
    """The teacher as a student's run gets it."""
    model = build_model(TEACHER, classes=10, channels=1, seed=0)
    model.load_state_dict(trained())
    return warm.teacher_for(
        TEACHER, save_weights(model, root, f"{own}.safetensors", Saved(preprocessing=own)), root, digits()
    )


@pytest.mark.parametrize("name", ["kd", "fitnet"])
def test_a_student_is_taught_by_what_the_teacher_sees(name: MethodName, tmp_path: Path) -> None:
    """Once more through `_compile`, with a compiler that changes nothing."""
    own = replace(OWN, side=16)
    data = digits()
    raw = data.validation.start_reading(torch.arange(6))()
    pictures = data.normalise(raw)
    plain = lent(tmp_path, None)
    fed = F.interpolate(raw.float(), size=(16, 16), mode="bilinear", antialias=True)
    with torch.no_grad():
        expected = plain(fed)
        assert not torch.allclose(plain(pictures), expected, atol=1e-2)
    method = build_method(
        MethodSpec(name=name), student=build_model(STUDENT, classes=10, channels=1, seed=0), student_name=STUDENT,
        teacher=lent(tmp_path, own), teacher_name=TEACHER, picture_shape=(1, 8, 8), seed=0,
    )  # fmt: skip
    for _ in range(2):
        if isinstance(method, TappedMethod):
            seen = method.run_both(pictures)
            assert seen.teacher_maps[0].shape[-1] == 2 * seen.student_maps[0].shape[-1]
            found = seen.teacher_logits_BC
        else:
            assert isinstance(method, Kd)
            found = method.ask_teacher(pictures)
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
        method._compile(lambda call: call)
