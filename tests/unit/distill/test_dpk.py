"""The whole DPK step: total loss, resized maps, the share that follows CKA."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dpk_core.distill.build import build_method
from dpk_core.distill.cka import unbiased_cka
from dpk_core.distill.dpk import Dpk
from dpk_core.distill.losses import logit_loss
from dpk_core.distill.method import StepContext, StepOutcome
from dpk_core.distill.share import find_shares, given_tokens
from dpk_core.distill.tapped import resize_like
from dpk_core.dpk_settings import CIFAR_DPK, IMAGENET_DPK, DpkSettings, ShareSettings, StageSettings, TransformerSize
from dpk_core.errors import InvalidRequest
from dpk_core.models.build import build_model
from dpk_core.models.taps import FeatureTaps
from dpk_core.spec import DpkName, MethodSpec, ProfileName

STEP = StepContext(seed=3, step=11, total_steps=20)


def make(
    student: str = "cifar/resnet8w4",
    teacher: str = "cifar/resnet8",
    side: int = 8,
    profile: ProfileName = "probe",
    *,
    settings: DpkSettings | None = None,
    name: DpkName = "dpk",
) -> Dpk:
    method = build_method(
        MethodSpec(name=name, profile=profile, dpk=settings),
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
    chosen = make().settings
    assert (chosen.class_weight, chosen.logit_weight, chosen.feature_weight, chosen.temperature) == (1, 1, 0.3, 1)
    assert {stage.name: stage.weight for stage in chosen.stages} == {"last": 1.0, "second_last": 0.6}
    assert (chosen.share.floor, chosen.share.fallback, chosen.share.least_cka) == (0.15, 0.9, 0.1)
    assert (chosen.share.schedule, chosen.share.lag) == ("cka", False)


def test_the_authors_choices_for_imagenet() -> None:
    chosen = make(settings=IMAGENET_DPK).settings
    assert (chosen.class_weight, chosen.logit_weight, chosen.feature_weight, chosen.temperature) == (0.8, 0.8, 0.2, 1)
    assert {stage.name: stage.weight for stage in chosen.stages} == {"last": 1.0, "second_last": 1.0}
    assert (chosen.share.floor, chosen.share.fallback) == (0.1, 0.8)


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
        stages = tuple(replace(stage, weight=float(stage.name == name)) for stage in CIFAR_DPK.stages)
        method.settings = replace(CIFAR_DPK, stages=stages)
        losses[name] = run(method).parts["loss_features"].item()
    method.settings = CIFAR_DPK
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
        share, _ = find_shares(method.settings.share, cka[None], 0.0, torch.Generator())
        tokens = method.stages[name].tokens
        given = given_tokens(method.settings.share, share, [tokens])
        assert parts[f"share.{name}"].item() == given.item() / tokens


def test_the_share_says_how_many_tokens_the_teacher_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    method = make()
    given: dict[str, list[int]] = {"last": [], "second_last": []}
    for name, stage in method.stages.items():
        stage.register_forward_hook(lambda _, __, done, name=name: given[name].append(done.split.given))
    for cka, tokens in (
        (0.5, {"last": 2, "second_last": 8}),
        (0.99, {"last": 2, "second_last": 2}),
        (math.nan, {"last": 3, "second_last": 14}),
    ):
        monkeypatch.setattr("dpk_core.distill.dpk.unbiased_cka", lambda *_, cka=cka: torch.tensor(cka).double())
        done = run(method)
        done.loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        assert {name: counts[-1] for name, counts in given.items()} == tokens
        assert {name: done.parts[f"share.{name}"].item() for name in tokens} == {
            name: count / method.stages[name].tokens for name, count in tokens.items()
        }
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
    aligned = resize_like(student, teacher, align_corners=True)
    assert aligned[0, 0, 0].tolist() == pytest.approx([0.0, 1 / 3, 2 / 3, 1.0])
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


def test_maps_under_two_by_two_are_left_out() -> None:
    method = make("cifar/resnet8w4", "cifar/resnet8", side=4)
    assert [tap.module for tap in method.taps.student] == ["stages.1", "stages.0"]
    assert [method.stages[name].grid for name in ("last", "second_last")] == [(2, 2), (4, 4)]


def test_a_teacher_with_too_few_maps_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="On 2x2 pictures cifar/resnet8w4 has one; on 8x8 it has") as refused:
        make(side=2)
    assert refused.value.field == "student"


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


class TestSettings:
    def test_every_weight_and_the_temperature_count(self) -> None:
        settings = DpkSettings(class_weight=0.5, logit_weight=2.0, feature_weight=0.1, temperature=3.0)
        method = make(settings=settings)
        pictures, _ = batch()
        assert method.teacher is not None
        with torch.no_grad():
            expected = logit_loss(method.student(pictures), method.teacher(pictures), 3.0)
        done = run(method)
        assert done.parts["loss_logits"].item() == pytest.approx(expected.item(), rel=1e-4)
        total = 0.5 * done.parts["loss_class"] + 2.0 * done.parts["loss_logits"] + 0.1 * done.parts["loss_features"]
        assert done.loss.item() == pytest.approx(total.item(), rel=1e-6)

    def test_one_stage_alone_is_the_same_stage_as_among_others(self) -> None:
        alone = make(settings=DpkSettings(stages=(StageSettings(name="last", weight=1.0),)))
        done, both = run(alone), run(make())
        assert {part.partition(".")[2] for part in done.parts} == {"", "last"}
        assert torch.equal(done.parts["cka.last"], both.parts["cka.last"])
        for name, value in make().stages["last"].state_dict().items():
            assert torch.equal(value, alone.stages["last"].state_dict()[name])

    def test_a_third_stage(self) -> None:
        stages = tuple(StageSettings(name=name, weight=1.0) for name in ("last", "second_last", "third_last"))
        method = make(settings=DpkSettings(stages=stages))
        assert [method.stages[stage.name].grid for stage in stages] == [(2, 2), (4, 4), (8, 8)]
        assert run(method).parts["share.third_last"].isfinite()

    def test_a_stage_that_the_networks_do_not_have_is_refused(self) -> None:
        settings = DpkSettings(stages=(StageSettings(name="fourth_last", weight=1.0),))
        with pytest.raises(InvalidRequest, match="with stage fourth_last needs four feature maps"):
            make(settings=settings)

    def test_sizes_and_patch_of_a_stage(self) -> None:
        stage = StageSettings(
            name="second_last", weight=1.0, patch=2,
            encoder=TransformerSize(width=24, depth=2, heads=3), decoder=TransformerSize(width=20, depth=3, heads=2),
        )  # fmt: skip
        module = make(settings=DpkSettings(stages=(stage,))).stages["second_last"]
        assert (module.patch, module.tokens) == (2, 4)
        assert (module.to_decoder.in_features, module.to_decoder.out_features) == (24, 20)
        assert (len(module.student_encoder.blocks), len(module.decoder.blocks)) == (2, 3)
        assert module.teacher_encoder.blocks[0].attention.heads == 3
        assert module.decoder.blocks[0].attention.heads == 2

    def test_a_patch_that_does_not_tile_the_map_is_refused(self) -> None:
        settings = DpkSettings(stages=(StageSettings(name="last", weight=1.0, patch=4),))
        with pytest.raises(InvalidRequest, match=r"4x4 do not tile the 2x2 map of .* at stage last"):
            make(settings=settings)
        one_token = DpkSettings(stages=(StageSettings(name="last", weight=1.0, patch=2),))
        with pytest.raises(InvalidRequest, match=r"leave 1 of the 2x2 map of .* at stage last; DPK needs 4 or more"):
            make(settings=one_token)

    @pytest.mark.parametrize(
        ("share", "expected"),
        [
            (ShareSettings(schedule="fixed", value=0.5), 0.5),
            (ShareSettings(schedule="none"), 0.0),
            (ShareSettings(schedule="exponential", start=1.0, end=0.25), 0.25 ** (11 / 19)),
            (ShareSettings(schedule="step", start=0.9, end=0.3, levels=2), 0.3),
        ],
    )
    def test_a_share_that_does_not_follow_cka(self, share: ShareSettings, expected: float) -> None:
        method = make(settings=DpkSettings(share=share))
        done = run(method)
        for stage in ("last", "second_last"):
            tokens = method.stages[stage].tokens
            given = given_tokens(share, torch.tensor([expected]), [tokens]).item()
            assert done.parts[f"share.{stage}"].item() == given / tokens
            assert done.parts[f"share_fallback.{stage}"].item() == 0
            assert done.parts[f"cka.{stage}"].item() != 0

    def test_a_random_share_is_drawn_from_seed_and_step(self) -> None:
        method = make(settings=DpkSettings(share=ShareSettings(schedule="random")))
        shares = [
            run(method, step=StepContext(seed=seed, step=step)).parts["share.second_last"].item()
            for seed, step in ((3, 11), (3, 11), (3, 12), (4, 11))
        ]
        assert shares[0] == shares[1]
        assert len(set(shares)) == 3

    def test_a_schedule_needs_the_length_of_the_training(self) -> None:
        method = make(settings=DpkSettings(share=ShareSettings(schedule="cosine")))
        with pytest.raises(ValueError, match="how many steps the training has"):
            run(method, step=StepContext(seed=3, step=11))


class TestLag:
    LAGGED = DpkSettings(share=ShareSettings(lag=True))

    def follow(self, method: Dpk, steps: range) -> list[dict[str, float]]:
        """The parts of these steps; each has pictures of its own."""
        seen = []
        for step in steps:
            pictures = torch.randn(8, 1, 16, 16, generator=torch.Generator().manual_seed(step)) * (1 + step)
            done: StepOutcome = method(pictures, torch.arange(8), StepContext(seed=3, step=step))
            seen.append({name: part.item() for name, part in done.parts.items()})
        return seen

    def test_each_step_takes_the_share_of_the_step_before(self, monkeypatch: pytest.MonkeyPatch) -> None:
        ckas = iter(2 * [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8])
        monkeypatch.setattr("dpk_core.distill.dpk.unbiased_cka", lambda *_: torch.tensor(next(ckas)).double())
        lagged, prompt = (
            self.follow(make(side=16, settings=settings), range(4)) for settings in (self.LAGGED, CIFAR_DPK)
        )
        for stage in ("last", "second_last"):
            shares = [parts[f"share.{stage}"] for parts in prompt]
            assert len(set(shares)) == 4
            assert [parts[f"share.{stage}"] for parts in lagged] == [shares[0], *shares[:-1]]
            assert [p[f"cka.{stage}"] for p in lagged] == [p[f"cka.{stage}"] for p in prompt]

    def test_the_memory_is_part_of_a_checkpoint(self) -> None:
        expected = self.follow(make(side=16, settings=self.LAGGED), range(4))
        assert expected[1]["share.second_last"] != expected[2]["share.second_last"]
        stopped, resumed = make(side=16, settings=self.LAGGED), make(side=16, settings=self.LAGGED)
        first = self.follow(stopped, range(2))
        self.follow(resumed, range(1))  # a memory of its own, which loading must replace
        resumed.load_state_dict(stopped.state_dict())
        assert first + self.follow(resumed, range(2, 4)) == expected

    def test_an_undefined_cka_falls_back_a_step_later(self, monkeypatch: pytest.MonkeyPatch) -> None:
        method = make(side=16, settings=self.LAGGED)
        ckas = iter([0.5, 0.5, math.nan, math.nan, 0.5, 0.5])
        monkeypatch.setattr("dpk_core.distill.dpk.unbiased_cka", lambda *_: torch.tensor(next(ckas)).double())
        fallbacks = [parts["share_fallback.last"] for parts in self.follow(method, range(3))]
        assert fallbacks == [0.0, 0.0, 1.0]


class TestControlArms:
    def test_no_teacher_tokens_is_the_schedule_none_under_a_name_that_settings_cannot_undo(self) -> None:
        arm = make(name="dpk_no_teacher_tokens", settings=DpkSettings(share=ShareSettings(lag=True)))
        plain = make(settings=DpkSettings(share=ShareSettings(schedule="none")))
        one, other = run(arm), run(plain)
        assert torch.equal(one.loss, other.loss)
        assert one.parts["share.last"].item() == one.parts["share.second_last"].item() == 0

    def test_no_teacher_tokens_has_the_modules_of_dpk(self) -> None:
        arm, dpk = make(name="dpk_no_teacher_tokens"), make()
        shapes = [{name: p.shape for name, p in method.extras.named_parameters()} for method in (arm, dpk)]
        assert shapes[0] == shapes[1]

    def test_no_teacher_tokens_hides_the_teacher_s_map_from_the_decoder(self) -> None:
        method = make(name="dpk_no_teacher_tokens")
        seen = []
        for stage in method.stages.values():
            stage.register_forward_hook(lambda _, __, done: seen.append(done.split.given))
        run(method)
        assert seen == [0, 0]

    def test_features_only_has_no_logit_term(self) -> None:
        done, dpk = run(make(name="dpk_features_only")), run(make())
        assert torch.equal(done.parts["loss_features"], dpk.parts["loss_features"])
        assert done.loss.item() == pytest.approx(
            (done.parts["loss_class"] + 0.3 * done.parts["loss_features"]).item(), rel=1e-6
        )
        assert done.parts["loss_logits"].item() > 0

    @pytest.mark.parametrize("name", ["dpk_no_teacher_tokens", "dpk_features_only"])
    def test_an_arm_keeps_all_other_settings(self, name: DpkName) -> None:
        method = make(name=name, settings=replace(IMAGENET_DPK, temperature=2.0))
        assert (method.settings.feature_weight, method.settings.temperature) == (0.2, 2.0)
        assert method.settings.share.fallback == 0.8
