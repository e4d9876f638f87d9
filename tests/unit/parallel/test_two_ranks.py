"""Two ranks train as one process does on the same batches, under every method and every switch of a recipe, and
normalise batches as torch does over the whole batch.

All tests with ranks are in this file, so that they are started once. Sums are taken in another order, so numbers agree
to rounding; a low learning rate keeps trainings from amplifying it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from dpk_core.distill.build import METHODS
from dpk_core.distill.extra_losses import EXTRA_LOSSES
from dpk_core.dpk_settings import DpkSettings, ExtraLoss, ExtraName, ShareSettings
from dpk_core.errors import InvalidRequest
from dpk_core.parallel.world import ALONE, World
from dpk_core.recipes import AS_IS
from dpk_core.spec import MethodName, MethodSpec, TrainingSpec
from tests.unit.parallel.ranks import Ranks
from tests.unit.parallel.work import (
    Curve,
    begun,
    curve,
    finished,
    first_gradient,
    gathered,
    gradients,
    judged,
    normalised,
    stopped,
    untrained,
)
from tests.unit.training.test_start import file_start, teacher_spec
from tests.unit.training.tiny import RECIPE, STEPS, spec

GENTLE = replace(RECIPE, learning_rate=0.001, module_learning_rate=1e-4)
FIXED = MethodSpec(name="dpk", dpk=DpkSettings(share=ShareSettings(schedule="fixed", value=0.5)))
LAGGING = MethodSpec(name="dpk", dpk=DpkSettings(share=ShareSettings(lag=True, least_cka=0.0)))
RANDOM = MethodSpec(name="dpk", dpk=DpkSettings(share=ShareSettings(schedule="random")))

SWITCHES: dict[str, dict[str, Any]] = {
    "mixed labels and pictures": {"label_smoothing": 0.1, "mixup": 0.2},
    "accumulation": {"accumulation": 2},
    "mixing with accumulation": {"mixup": 0.2, "accumulation": 4},
    "AdamW": {"optimiser": "adamw", "learning_rate": 1e-4},
    "clipping": {"clip_norm": 0.1},
    "average of the weights": {"ema_decay": 0.9},
    "channels last": {"channels_last": True},
    "crop and flip": {"augmentation": "crop_flip"},
    "resized crops": {"augmentation": "resized_crop_flip"},
    "RandAugment and erasing": {"randaugment": 9, "erasing": 0.5},
}


def gentle(method: MethodName = "none", **switches: Any) -> TrainingSpec:
    return spec(method, recipe=replace(GENTLE, **switches))


def shallow(method: MethodName, **switches: Any) -> TrainingSpec:
    """Networks of few operations, as the C++ compiler takes some seconds for each."""
    return replace(gentle(method, **switches), model="cifar/plain2")


def assert_near(found: Curve, expected: Curve, tolerance: float = 2e-4) -> None:
    """Losses agree to a relative tolerance, accuracies but for a picture or two."""
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.keys() == theirs.keys()
        for name, value in theirs.items():
            wanted = pytest.approx(value, abs=0.005) if "accuracy" in name else pytest.approx(value, rel=tolerance)
            assert ours[name] == wanted, name


@pytest.mark.parametrize("method", METHODS)
class TestEveryMethod:
    def test_gives_the_same_gradient(self, ranks: Ranks, method: MethodName) -> None:
        one, (two, other) = first_gradient(ALONE, gentle(method)), ranks.do(first_gradient, gentle(method))
        assert torch.equal(two, other)
        assert torch.linalg.vector_norm(two - one) < 1e-5 * torch.linalg.vector_norm(one)

    def test_gives_the_same_curve(self, ranks: Ranks, method: MethodName) -> None:
        two, other = ranks.do(curve, gentle(method))
        assert two == other
        assert_near(two, curve(ALONE, gentle(method)))


@pytest.mark.parametrize("name", EXTRA_LOSSES)
def test_every_extra_loss_gives_the_same_gradient(ranks: Ranks, name: ExtraName) -> None:
    """In the third step, as one warms up; at weights that stand still, so that rounding is not amplified."""
    settings = replace(FIXED.dpk, extra_losses=(ExtraLoss(name=name, weight=1.0),))
    still = gentle("dpk", learning_rate=1e-9, module_learning_rate=1e-9)
    chosen = replace(still, method=MethodSpec(name="dpk", dpk=settings))
    (*_, one), _ = gradients(ALONE, chosen, 3)
    ((*_, two), _), ((*_, other), _) = ranks.do(gradients, chosen, 3)
    assert torch.equal(two, other)
    assert torch.linalg.vector_norm(two - one) < 1e-4 * torch.linalg.vector_norm(one)


@pytest.mark.parametrize("choice", [FIXED, LAGGING, RANDOM], ids=["fixed", "lagging", "random"])
def test_every_share_gives_the_same_curve(ranks: Ranks, choice: MethodSpec) -> None:
    chosen = replace(gentle("dpk"), method=choice)
    assert_near(ranks.do(curve, chosen)[0], curve(ALONE, chosen))


@pytest.mark.parametrize("switches", SWITCHES.values(), ids=SWITCHES)
def test_every_switch_gives_the_same_curve(ranks: Ranks, switches: dict[str, Any]) -> None:
    chosen = gentle("kd", **switches)
    assert_near(ranks.do(curve, chosen)[0], curve(ALONE, chosen))


@pytest.mark.skipif(shutil.which("c++") is None and shutil.which("g++") is None, reason="no C++ compiler")
def test_a_compiled_student_has_the_same_gradients(ranks: Ranks) -> None:
    """At weights that stand still, so that rounding is not amplified. An activation within rounding of 0 passes one
    kernel's ReLU and not another's: then a single step differs, by little."""
    still = {"learning_rate": 1e-9, "module_learning_rate": 1e-9}
    (two, statistics), (other, _) = ranks.do(gradients, shallow("sp", compiled="default", **still), 7)
    one, expected = gradients(ALONE, shallow("sp", **still), 7)
    assert all(map(torch.equal, two, other))
    apart = [float((ours - theirs).norm() / theirs.norm()) for ours, theirs in zip(two, one, strict=True)]
    assert sorted(apart)[-2] < 1e-5
    assert max(apart) < 0.02
    assert torch.allclose(statistics, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_low_precision_stays_near(ranks: Ranks, precision: str) -> None:
    chosen = gentle("kd", precision=precision)
    assert_near(ranks.do(curve, chosen)[0], curve(ALONE, chosen), tolerance=0.02)


class TestResuming:
    @pytest.mark.parametrize(
        ("method", "stop_at"), [("none", STEPS + 3), ("dpk", 0), ("dpk", STEPS + 3), ("crd", STEPS + 3)]
    )
    def test_stopped_as_never_stopped(self, ranks: Ranks, method: MethodName, stop_at: int, tmp_path: Path) -> None:
        whole = ranks.do(finished, gentle(method), None, tmp_path)
        checkpoint, nothing = ranks.do(stopped, gentle(method), stop_at, tmp_path)
        assert nothing is None
        assert [path.name for path in tmp_path.rglob("*.pt")] == [f"a-{stop_at}.pt"]
        resumed = ranks.do(finished, gentle(method), checkpoint, tmp_path)
        for state in (*whole[1:], *resumed):
            assert_same(state, whole[0])

    def test_one_process_can_go_on_with_it(self, ranks: Ranks, tmp_path: Path) -> None:
        whole = finished(ALONE, gentle("dpk"), None, tmp_path)
        checkpoint = ranks.do(stopped, gentle("dpk"), STEPS + 3, tmp_path)[0]
        alone = finished(ALONE, gentle("dpk"), checkpoint, tmp_path)
        assert alone["/step"] == whole["/step"]
        for name, value in whole.items():
            if name.startswith("/student") and value.is_floating_point():
                torch.testing.assert_close(alone[name], value, rtol=1e-3, atol=1e-4)


def assert_same(state: dict[str, Any], other: dict[str, Any]) -> None:
    assert state.keys() == other.keys()
    for name, value in state.items():
        assert torch.equal(value, other[name]) if isinstance(value, Tensor) else value == other[name], name


def test_what_is_judged_as_it_is_asks_for_no_even_batches(ranks: Ranks, tmp_path: Path) -> None:
    chosen = teacher_spec(file_start(tmp_path), recipe=AS_IS)
    (alone,) = untrained(ALONE, chosen, tmp_path)
    for (both,) in ranks.do(untrained, chosen, tmp_path):
        assert both == pytest.approx(alone)


@pytest.mark.parametrize("pictures", [3, 500, 898])
def test_evaluation_is_shared(ranks: Ranks, pictures: int) -> None:
    """898 pictures are two batches, one for each rank; 500 and 3 leave the second rank without any."""
    one, both = judged(ALONE, spec(), pictures), ranks.do(judged, spec(), pictures)
    for two in both:
        assert two.score == one.score
        assert torch.equal(two.evidence_N, one.evidence_N)
        assert two.loss == pytest.approx(one.loss, rel=1e-12)


@pytest.mark.parametrize(
    ("switches", "nearest", "sentence"),
    [
        ({"batch_size": 127}, "128", "127 pictures cannot be shared evenly by 2 devices"),
        ({"batch_size": 100, "accumulation": 8}, "96", "cannot be shared evenly by 8 parts for 2 devices"),
    ],
)
def test_shares_that_are_uneven_are_refused(switches: dict[str, Any], nearest: str, sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence) as caught:
        begun(World(rank=0, size=2), spec(recipe=replace(RECIPE, **switches)))
    assert caught.value.field == "budget.batch_size"
    assert caught.value.nearest == nearest


def test_a_gathered_row_gets_what_all_ranks_ask_of_it(ranks: Ranks) -> None:
    rows_6 = torch.arange(6.0)
    weights_2B = torch.randn(2, 6, generator=torch.Generator().manual_seed(0))
    answers = ranks.do(gathered, rows_6, weights_2B)
    assert all(torch.equal(rows, rows_6) for rows, _ in answers)
    torch.testing.assert_close(torch.cat([gradient for _, gradient in answers]), weights_2B.sum(0))


NORM_SHAPE = (8, 3, 5, 4)

NORMS: dict[str, Callable[[], nn.Module]] = {
    "torch's": lambda: nn.BatchNorm2d(3),
    "without weights": lambda: nn.Sequential(nn.BatchNorm2d(3, affine=False), nn.Conv2d(3, 3, 1)),
    "without running statistics": lambda: nn.Sequential(
        nn.BatchNorm2d(3, track_running_stats=False), nn.BatchNorm2d(3)
    ),
    "by count": lambda: nn.BatchNorm2d(3, momentum=None),
    "with timm's activation": lambda: timm.layers.BatchNormAct2d(3),
    "at rest": lambda: nn.BatchNorm2d(3).eval(),
}


@pytest.mark.parametrize("make", NORMS.values(), ids=NORMS)
def test_two_ranks_normalise_as_one(ranks: Ranks, make: Callable[[], nn.Module]) -> None:
    generator = torch.Generator().manual_seed(0)
    # A mean far from 0 tells a careful sum of squares from a careless one.
    pictures, asked = (torch.randn(NORM_SHAPE, generator=generator) + shift for shift in (100, 0))
    norm = make()
    with torch.no_grad():
        for parameter in norm.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    both = ranks.do(normalised, norm, pictures, asked)
    one = normalised(ALONE, norm, pictures, asked)
    for name in ("result", "gradient"):
        torch.testing.assert_close(torch.cat([two[name] for two in both]), one[name], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(sum(two["weights"] for two in both), one["weights"], rtol=1e-4, atol=1e-4)
    for two in both:
        torch.testing.assert_close(two["running"], one["running"], rtol=1e-5, atol=1e-5)


def test_vectors_and_low_precision(ranks: Ranks) -> None:
    generator = torch.Generator().manual_seed(0)
    vectors, asked = (torch.randn((8, 3), generator=generator).bfloat16() for _ in range(2))
    one = normalised(ALONE, nn.BatchNorm1d(3), vectors, asked)
    both = ranks.do(normalised, nn.BatchNorm1d(3), vectors, asked)
    found = torch.cat([two["result"] for two in both])
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found, one["result"], rtol=0.02, atol=0.02)
