"""What the rivals make of their losses: weights, taps, extra modules, what they ask of a step."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dpk_core.distill.at import At, attention_loss
from dpk_core.distill.build import build_method
from dpk_core.distill.contrast import Negatives
from dpk_core.distill.crd import Crd, CrdOptions
from dpk_core.distill.dist import relation_losses
from dpk_core.distill.dkd import decoupled_losses
from dpk_core.distill.fitnet import FitNet
from dpk_core.distill.method import Method, StepContext, StepOutcome
from dpk_core.distill.reviewkd import Fusion, ReviewKd
from dpk_core.distill.rkd import angle_loss, distance_loss
from dpk_core.distill.sp import similarity_loss
from dpk_core.distill.tapped import TappedMethod
from dpk_core.errors import InvalidRequest
from dpk_core.models.build import build_model
from dpk_core.spec import MethodName, MethodSpec

LATE = StepContext(seed=3, step=19, total_steps=20, positions_B=torch.arange(8))
LABELS = torch.arange(40) % 10


def make(
    name: MethodName, *, student: str = "cifar/resnet8w4", teacher: str = "cifar/resnet8", side: int = 8,
    labels: Tensor | None = LABELS,
) -> Method:  # fmt: skip
    return build_method(
        MethodSpec(name=name),
        student=build_model(student, classes=10, channels=1, seed=0), student_name=student,
        teacher=build_model(teacher, classes=10, channels=1, seed=1), teacher_name=teacher,
        picture_shape=(1, side, side), seed=5, training_labels=labels,
    )  # fmt: skip


def batch(side: int = 8) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(9)
    return torch.randn(8, 1, side, side, generator=generator), torch.randint(10, (8,), generator=generator)


def run(method: Method, side: int = 8, step: StepContext = LATE) -> StepOutcome:
    done: StepOutcome = method(*batch(side), step)
    return done


WEIGHTS: dict[MethodName, dict[str, float]] = {
    "kd": {"loss_class": 0.1, "loss_logits": 0.9},
    "fitnet": {"loss_class": 1, "loss_features": 100},
    "at": {"loss_class": 1, "loss_features": 1000},
    "sp": {"loss_class": 1, "loss_features": 3000},
    "rkd": {"loss_class": 1, "loss_distance": 25, "loss_angle": 50},
    "crd": {"loss_class": 1, "loss_features": 0.8},
    "dkd": {"loss_class": 1, "loss_target": 1, "loss_others": 8},
    "dist": {"loss_class": 1, "loss_inter": 2, "loss_intra": 2},
    "reviewkd": {"loss_class": 1, "loss_features": 1},
}
"""The literature's."""


@pytest.mark.parametrize("name", WEIGHTS)
def test_the_loss_is_the_weighted_sum_of_its_parts(name: MethodName) -> None:
    done = run(make(name))
    assert done.parts.keys() == WEIGHTS[name].keys()
    total = sum(weight * done.parts[part].double() for part, weight in WEIGHTS[name].items())
    assert done.loss.item() == pytest.approx(float(total), rel=1e-5)
    assert all(done.parts[part] > 0 for part in WEIGHTS[name])


@pytest.mark.parametrize("name", ["dkd", "dist"])
def test_logit_rivals_compare_the_networks_logits(name: MethodName) -> None:
    method = make(name)
    pictures, labels = batch()
    assert method.teacher is not None
    with torch.no_grad():
        student, teacher = method.student(pictures), method.teacher(pictures)
    done = run(method)
    if name == "dkd":
        expected = dict(
            zip(("loss_target", "loss_others"), decoupled_losses(student, teacher, labels, 4.0), strict=True)
        )
    else:
        expected = dict(zip(("loss_inter", "loss_intra"), relation_losses(student, teacher, 4.0), strict=True))
    for part, value in expected.items():
        assert done.parts[part].item() == pytest.approx(value.item(), rel=1e-4)


@pytest.mark.parametrize("name", ["kd", "dist", "sp"])
def test_a_teacher_that_changes_its_pictures_is_refused(name: MethodName) -> None:
    """They are the student's too."""
    method = make(name)
    assert method.teacher is not None
    method.teacher.register_forward_pre_hook(lambda _, inputs: (inputs[0].sub_(0.5),))
    with pytest.raises(InvalidRequest, match="changes the pictures that it is given in place"):
        run(method)


def test_feature_rivals_compare_the_maps_they_say() -> None:
    method = make("sp")
    assert isinstance(method, TappedMethod)
    seen = method.run_both(batch()[0])
    assert [m.shape[2] for m in seen.teacher_maps] == [2]
    last, pair = (seen.student_maps[0], seen.teacher_maps[0]), "loss_features"
    assert run(method).parts[pair].item() == pytest.approx(similarity_loss(*last).item(), rel=1e-4)
    relations = run(make("rkd")).parts
    assert relations["loss_distance"].item() == pytest.approx(distance_loss(*last).item(), rel=1e-4)
    assert relations["loss_angle"].item() == pytest.approx(angle_loss(*last).item(), rel=1e-4)


def test_attention_is_compared_at_all_common_stages() -> None:
    method = make("at")
    assert isinstance(method, At)
    seen = method.run_both(batch()[0])
    assert [m.shape[2] for m in seen.student_maps] == [2, 4, 8]
    pairs = zip(seen.student_maps, seen.teacher_maps, strict=True)
    expected = sum(attention_loss(student, teacher).item() for student, teacher in pairs)
    assert run(method).parts["loss_features"].item() == pytest.approx(expected, rel=1e-4)


def test_the_hint_is_the_second_last_map_through_a_linear_regressor() -> None:
    method = make("fitnet")
    assert isinstance(method, FitNet)
    seen = method.run_both(batch()[0])
    hinted = method.extras["regressor"](seen.student_maps[1])
    assert hinted.min() < 0, "no ReLU behind it"
    expected = F.mse_loss(hinted, seen.teacher_maps[1]).item()
    assert run(method).parts["loss_features"].item() == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("name", ["dkd", "reviewkd"])
def test_a_term_that_warms_up_is_nothing_in_the_first_step(name: MethodName) -> None:
    first = run(make(name), step=StepContext(seed=3, step=0, total_steps=20))
    assert first.loss.item() == pytest.approx(first.parts["loss_class"].item())
    with pytest.raises(ValueError, match="how many steps the training has"):
        run(make(name), step=StepContext(seed=3, step=0))


@pytest.mark.parametrize("name", ["fitnet", "at", "sp", "rkd", "crd", "reviewkd"])
@pytest.mark.parametrize(("student", "teacher", "side"), [
    ("cifar/resnet8w4", "cifar/resnet14w8", 9),
    ("torchvision/squeezenet1_1", "cifar/resnet8w4", 40),
    ("cifar/resnet8w4", "timm/resnet10t", 64),
])  # fmt: skip
def test_any_map_sizes_go_together(name: MethodName, student: str, teacher: str, side: int) -> None:
    method = make(name, student=student, teacher=teacher, side=side)
    done = run(method, side)
    done.loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    assert done.loss.isfinite()
    assert all(p.grad is None or p.grad.isfinite().all() for p in method.parameters())


class TestReview:
    def test_every_level_and_the_averaged_map_are_reviewed(self) -> None:
        method = make("reviewkd")
        assert isinstance(method, ReviewKd)
        assert [fusion.attention is None for fusion in method.fusions] == [True, False, False, False]
        assert [fusion.leave[0].out_channels for fusion in method.fusions] == [64, 64, 32, 16]
        assert {fusion.enter[0].out_channels for fusion in method.fusions} == {16}

    def test_a_level_mixes_its_own_map_with_what_lies_below(self) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            fusion = Fusion(3, 4, 5, deepest=False).eval()
        student = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(1))
        below = torch.randn(2, 4, 2, 2, generator=torch.Generator().manual_seed(2))
        reviewed, fused = fusion(student, below, (8, 8))
        assert reviewed.shape == (2, 5, 8, 8)
        own, up = fusion.enter(student), below.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        assert fusion.attention is not None
        weights = fusion.attention(torch.cat((own, up), dim=1)).sigmoid()
        torch.testing.assert_close(fused[:, :, ::2, ::2], own * weights[:, [0]] + up * weights[:, [1]])
        torch.testing.assert_close(fused[:, :, 1::2, 1::2], fused[:, :, ::2, ::2])
        torch.testing.assert_close(reviewed, fusion.leave(fused))

    def test_a_shallow_map_s_loss_reaches_the_deepest_student_map(self) -> None:
        method = make("reviewkd")
        assert isinstance(method, ReviewKd)
        run(method).loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        gradient = method.fusions[0].enter[0].weight.grad
        assert isinstance(gradient, Tensor)
        assert gradient.any()


class TestNegatives:
    LABELS_N = torch.tensor([2, 0, 1, 2, 2, 0, 5, 5, 2])

    def test_are_of_other_classes_and_all_of_them(self) -> None:
        places = torch.arange(9)
        drawn = Negatives(self.LABELS_N).draw(places, 400, seed=1)
        assert torch.equal(drawn[:, 0], places)
        for place, row in zip(places.tolist(), drawn[:, 1:], strict=True):
            others = {i for i in range(9) if self.LABELS_N[i] != self.LABELS_N[place]}
            assert set(row.tolist()) == others

    def test_are_drawn_uniformly(self) -> None:
        drawn = Negatives(self.LABELS_N).draw(torch.tensor([0]), 20_000, seed=2)[0, 1:]
        counts = drawn.bincount(minlength=9)
        assert counts[[1, 2, 5, 6, 7]].min() > 3_800

    def test_follow_the_seed(self) -> None:
        draws = [Negatives(self.LABELS_N).draw(torch.arange(3), 50, seed) for seed in (1, 1, 2)]
        assert torch.equal(draws[0], draws[1])
        assert not torch.equal(draws[0], draws[2])


class TestCrd:
    def test_has_the_authors_choices_and_a_bank_of_the_training_split(self) -> None:
        method = make("crd")
        assert isinstance(method, Crd)
        chosen = CrdOptions()
        assert (chosen.width, chosen.negatives, chosen.temperature, chosen.momentum) == (128, 16384, 0.07, 0.5)
        assert method.bank.student_NE.shape == method.bank.teacher_NE.shape == (40, 128)
        assert {"bank.student_NE", "bank.teacher_NE", "bank.scales"} <= method.extras.state_dict().keys()

    def test_a_step_moves_the_bank_of_its_own_pictures_only(self) -> None:
        method = make("crd")
        assert isinstance(method, Crd)
        before = method.bank.student_NE.clone()
        run(method, step=StepContext(seed=3, step=0, positions_B=torch.arange(30, 38)))
        moved = (method.bank.student_NE != before).any(dim=1)
        assert moved.nonzero().flatten().tolist() == list(range(30, 38))

    def test_a_step_that_does_not_say_its_pictures_is_refused(self) -> None:
        with pytest.raises(ValueError, match="needs the positions of a batch's pictures"):
            run(make("crd"), step=StepContext(seed=3, step=0))

    def test_labels_of_the_training_split_are_needed(self) -> None:
        with pytest.raises(ValueError, match="'crd' needs the labels of the training split"):
            make("crd", labels=None)

    def test_one_class_alone_is_refused(self) -> None:
        with pytest.raises(InvalidRequest, match="the data set has only one"):
            make("crd", labels=torch.zeros(40, dtype=torch.int64))
