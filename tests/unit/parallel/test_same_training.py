"""Two ranks train as one process does on the same batches, under every method and every switch of a recipe.

Sums are taken in another order, so numbers agree to rounding; a low learning rate keeps trainings from amplifying it.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dpk_core.distill.build import METHODS
from dpk_core.dpk_settings import DpkSettings, ShareSettings
from dpk_core.errors import InvalidRequest
from dpk_core.parallel.world import ALONE, World
from dpk_core.spec import MethodName, MethodSpec, TrainingSpec
from tests.unit.parallel.ranks import Ranks
from tests.unit.parallel.work import Curve, begun, curve, finished, first_gradient, gradients, judged, stopped
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
