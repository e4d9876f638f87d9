"""The whole DPK step: total loss, resized maps, the share that follows CKA."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dpk_core.distill.build import build_method
from dpk_core.distill.cka import unbiased_cka
from dpk_core.distill.dpk import Dpk, DpkOptions, resize_like
from dpk_core.distill.losses import logit_loss
from dpk_core.distill.method import StepContext, StepOutcome
from dpk_core.errors import InvalidRequest
from dpk_core.models.build import build_model
from dpk_core.models.taps import FeatureTaps
from dpk_core.spec import MethodSpec, ProfileName

STEP = StepContext(seed=3, step=11)


def make(
    student: str = "cifar/resnet8w4", teacher: str = "cifar/resnet8", side: int = 8, profile: ProfileName = "probe"
) -> Dpk:
    method = build_method(
        MethodSpec(name="dpk", profile=profile),
        student=build_model(student, classes=10, channels=1, seed=0), student_name=student,
        teacher=build_model(teacher, classes=10, channels=1, seed=1), teacher_name=teacher,
        picture_shape=(1, side, side), seed=5,
    )  # fmt: skip
    assert isinstance(method, Dpk)
    return method


def batch(side: int = 8, pictures: int = 8) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(9)
    return torch.randn(pictures, 1, side, side, generator=generator), torch.randint(
        10, (pictures,), generator=generator
    )


def run(method: Dpk, side: int = 8, step: StepContext = STEP) -> StepOutcome:
    done: StepOutcome = method(*batch(side), step)
    return done


def test_defaults_are_the_authors_for_cifar_100() -> None:
    options = DpkOptions()
    assert (options.class_weight, options.logit_weight, options.feature_weight, options.temperature) == (1, 1, 0.3, 1)
    assert options.stage_weights == {"last": 1.0, "second_last": 0.6}
    assert (options.share.floor, options.share.fallback, options.share.least_cka) == (0.15, 0.9, 0.1)


def test_total_loss_is_the_weighted_sum_of_its_terms() -> None:
    method = make()
    pictures, labels = batch()
    assert method.teacher is not None
    with torch.no_grad():
        logits, teacher_logits = method.student(pictures), method.teacher(pictures)
    done = run(method)
    parts = done.parts
    assert parts["loss_class"].item() == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-5)
    assert parts["loss_logits"].item() == pytest.approx(logit_loss(logits, teacher_logits, 1.0).item(), rel=1e-4)
    total = parts["loss_class"] + parts["loss_logits"] + 0.3 * parts["loss_features"]
    assert done.loss.item() == pytest.approx(total.item(), rel=1e-6)
    assert parts["loss_features"].item() > 0


def test_stage_weights_weigh_the_stages() -> None:
    method = make()
    losses = {}
    for name in ("last", "second_last"):
        method.options = DpkOptions(stage_weights={"last": 0.0, "second_last": 0.0, name: 1.0})
        losses[name] = run(method).parts["loss_features"].item()
    method.options = DpkOptions()
    both = run(method).parts["loss_features"].item()
    assert both == pytest.approx(losses["last"] + 0.6 * losses["second_last"], rel=1e-5)
    assert losses["last"] != pytest.approx(losses["second_last"], rel=1e-2)


def test_cka_is_taken_on_the_stitched_maps_and_drives_the_share() -> None:
    method = make()
    pictures, _ = batch()
    assert method.teacher is not None
    with torch.no_grad(), FeatureTaps(method.student, ["stages.1", "stages.2"]) as s:
        method.student(pictures)
    with torch.no_grad(), FeatureTaps(method.teacher, ["stages.1", "stages.2"]) as t:
        method.teacher(pictures)
    parts = run(method).parts
    for name, student_BCHW, teacher_BCHW in zip(("second_last", "last"), s.maps, t.maps, strict=True):
        cka = unbiased_cka(student_BCHW, teacher_BCHW)
        assert parts[f"cka.{name}"].item() == pytest.approx(cka.item(), abs=1e-6)
        assert parts[f"share.{name}"].item() == method.options.share(cka)[0].item()


def test_the_share_says_how_many_tokens_the_teacher_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    method = make()
    given: dict[str, list[int]] = {"last": [], "second_last": []}
    for name, stage in method.stages.items():
        stage.module.register_forward_hook(
            lambda _, __, done, name=name: given[name].append(done.split.given_BK.shape[1])  # type: ignore[misc]  # binds the name
        )
    for cka, tokens in (
        (0.5, {"last": 2, "second_last": 8}),
        (0.99, {"last": 0, "second_last": 2}),
        (math.nan, {"last": 3, "second_last": 14}),
    ):
        monkeypatch.setattr("dpk_core.distill.dpk.unbiased_cka", lambda *_, cka=cka: torch.tensor(cka).double())
        done = run(method)
        done.loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        assert {name: counts[-1] for name, counts in given.items()} == tokens
        assert done.parts["share_fallback.last"].item() == float(math.isnan(cka))
        assert all(part.isfinite() for part in done.parts.values())


@pytest.mark.parametrize("profile", ["probe", "paper"])
@pytest.mark.parametrize(("student", "teacher", "side"), [
    ("cifar/resnet8w4", "cifar/resnet14w8", 9),
    ("cifar/resnet8w4", "cifar/resnet8", 14),
    ("torchvision/squeezenet1_1", "cifar/resnet8w4", 40),
    ("cifar/resnet8w4", "timm/resnet10t", 64),
])  # fmt: skip
def test_any_map_sizes_go_together(student: str, teacher: str, side: int, profile: ProfileName) -> None:
    method = make(student, teacher, side, profile)
    done: StepOutcome = method(*batch(side, pictures=4), STEP)
    done.loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    assert done.loss.isfinite()
    assert any(p.grad is not None and p.grad.any() for p in method.student.parameters())


def test_a_student_map_is_resized_bilinearly_to_the_teacher_s() -> None:
    student, teacher = torch.arange(4.0).view(1, 1, 2, 2), torch.zeros(1, 7, 4, 4)
    resized = resize_like(student, teacher)
    assert resized.shape == (1, 1, 4, 4)
    assert resized[0, 0, 0].tolist() == pytest.approx([0.0, 0.25, 0.75, 1.0])
    assert resize_like(student, torch.zeros(1, 7, 2, 2)) is student


def test_masks_change_from_step_to_step_and_with_the_seed() -> None:
    losses = {
        run(make(), step=StepContext(seed=seed, step=step)).parts["loss_features"].item()
        for seed, step in ((3, 11), (3, 12), (4, 11))
    }
    assert len(losses) == 3


def test_too_few_pictures_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 4 pictures a step, not 3"):
        make()(*batch(pictures=3), STEP)


def test_a_last_map_under_two_by_two_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"cifar/resnet8 gives a map of 1x1 at 'stages\.2', under 2x2"):
        make(side=4)


def test_building_leaves_models_as_they_were() -> None:
    student = build_model("cifar/resnet8w4", classes=10, channels=1, seed=0)
    norm = student.get_submodule("stem.1")
    norm.eval()
    before = {name: value.clone() for name, value in student.state_dict().items()}
    build_method(
        MethodSpec(name="dpk"), student=student, student_name="cifar/resnet8w4",
        teacher=build_model("cifar/resnet8", classes=10, channels=1, seed=1), teacher_name="cifar/resnet8",
        picture_shape=(1, 8, 8), seed=5,
    )  # fmt: skip
    assert all(torch.equal(before[name], value) for name, value in student.state_dict().items())
