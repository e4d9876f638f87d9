"""What a run is, its content key, and the lines between worker and runner."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import replace
from typing import Any

import pytest

from dpk_core.codec import WrongValue, content_key, differences, from_json, to_json
from dpk_core.dpk_settings import CIFAR_DPK, IMAGENET_DPK
from dpk_core.errors import InvalidRequest, ProtocolFault
from dpk_core.protocol import (
    ArtifactReference,
    Checkpoint,
    Finished,
    Measured,
    RunCommand,
    RunResult,
    StopCommand,
    decode_command,
    decode_event,
    encode,
)
from dpk_core.recipes import AS_IS, RECIPES, chosen_dpk, chosen_recipe, fine_tuning, recipe
from dpk_core.spec import MethodSpec, RunSpec, Start, TeacherReference, TrainingSpec

START = Start(source="file", name="a", identity="sha256:0")


@pytest.fixture
def training() -> TrainingSpec:
    return TrainingSpec(
        role="student",
        model="cifar/resnet8",
        dataset="digits",
        data_fingerprint="f",
        method=MethodSpec(name="dpk"),
        teacher=TeacherReference(model="cifar/resnet20", training_key="k"),
        recipe=recipe("digits", epochs=8),
        seed=3,
    )


class TestSpec:
    def test_a_probe_and_the_full_run_are_one_training_and_two_runs(self, training: TrainingSpec) -> None:
        probe, full = RunSpec(training=training, stop_epoch=2), RunSpec(training=training, stop_epoch=8)
        assert probe.training.key() == full.training.key()
        assert probe.key() != full.key()
        assert (probe.is_full, full.is_full) == (False, True)

    def test_every_part_is_in_the_key(self, training: TrainingSpec) -> None:
        others = [
            replace(training, model="cifar/resnet14"),
            replace(training, dataset="npz/x"),
            replace(training, data_fingerprint="g"),
            replace(training, method=MethodSpec(name="kd")),
            replace(training, method=MethodSpec(name="dpk", profile="paper")),
            replace(training, teacher=TeacherReference(model="cifar/resnet20", training_key="other")),
            replace(training, recipe=recipe("digits", epochs=9)),
            replace(training, seed=4),
            replace(training, version=training.version + 1),
            replace(training, start=START),
            replace(training, start=replace(START, identity="sha256:1")),
        ]
        assert len({each.key() for each in [training, *others]}) == 1 + len(others)

    def test_the_key_is_pinned(self) -> None:
        # Another form would forget every stored run; that is what raising TRAINING_VERSION is for.
        canonical = b'{"a":null,"b":[1,2.5]}'
        assert content_key({"b": (1, 2.5), "a": None}) == hashlib.sha256(canonical).hexdigest()

    def test_a_start_comes_back_from_json(self, training: TrainingSpec) -> None:
        started = replace(training, role="teacher", method=MethodSpec(name="none"), teacher=None, start=START)
        head = replace(started, trains="head")
        assert (to_json(head)["start"]["name"], to_json(head)["trains"]) == ("a", "head")
        assert from_json(TrainingSpec, to_json(head)) == head
        assert from_json(TrainingSpec, to_json(training)) == training

    def test_weights_taken_as_they_are_are_a_run_of_no_epochs(self, training: TrainingSpec) -> None:
        judged = replace(
            training, role="teacher", method=MethodSpec(name="none"), teacher=None, start=START, recipe=AS_IS
        )
        assert RunSpec(training=judged, stop_epoch=0).is_full
        with pytest.raises(ValueError, match="stop_epoch must be in 0 … 0, not 1"):
            RunSpec(training=judged, stop_epoch=1)

    def test_a_method_needs_its_teacher(self, training: TrainingSpec) -> None:
        with pytest.raises(ValueError, match="needs a teacher"):
            replace(training, teacher=None)
        with pytest.raises(ValueError, match="takes no teacher"):
            replace(training, method=MethodSpec(name="none"))
        with pytest.raises(ValueError, match="own training"):
            replace(training, role="teacher")

    @pytest.mark.parametrize("stop", [0, 9])
    def test_a_run_stops_inside_its_training(self, training: TrainingSpec, stop: int) -> None:
        with pytest.raises(ValueError, match="stop_epoch must be in 1 … 8"):
            RunSpec(training=training, stop_epoch=stop)


class TestRecipes:
    @pytest.mark.parametrize(
        ("field", "value", "words"),
        [
            ("epochs", -1, "at least 0, not -1"),
            ("learning_rate", 0.0, "above 0"),
            ("momentum", 1.0, "at least 0 and below 1"),
            ("weight_decay", -1e-4, "at least 0"),
            ("clip_norm", 0.0, "above 0"),
            ("warmup_epochs", -1, "at least 0"),
            ("accumulation", 65, "in 1 … 64, the batch size"),
            ("randaugment", 31, "in 0 … 30"),
            ("randaugment", -1, "in 0 … 30"),
            ("erasing", 1.1, "in 0 … 1"),
        ],
    )
    def test_what_cannot_be_is_refused(self, field: str, value: float, words: str) -> None:
        with pytest.raises(ValueError, match=f"^{field} must be {words}"):
            replace(recipe("digits"), **{field: value})

    def test_milestones_keep_their_places(self) -> None:
        assert recipe("cifar100").milestones == (150, 180, 210)
        assert recipe("cifar100", epochs=24).milestones == (15, 18, 21)

    @pytest.mark.parametrize("name", RECIPES)
    def test_one_epoch_is_possible(self, name: str) -> None:
        assert recipe(name, epochs=1).warmup_epochs == 0

    def test_the_literatures_recipe_has_none_of_the_authors_switches(self) -> None:
        plain, authors = recipe("cifar100"), recipe("cifar100_paper")
        assert (plain.clip_norm, plain.label_smoothing, plain.mixup) == (None, 0.0, 0.0)
        assert authors == replace(plain, name="cifar100_paper", clip_norm=1.0, label_smoothing=0.1, mixup=0.2)

    def test_learning_rates_follow_the_batch_size(self) -> None:
        base, large = recipe("digits"), recipe("digits", batch_size=256)
        assert large.learning_rate == pytest.approx(4 * base.learning_rate)
        assert large.module_learning_rate == pytest.approx(2 * base.module_learning_rate)
        assert replace(large, batch_size=64, learning_rate=0.05, module_learning_rate=1e-3) == base

    def test_for_smaller_batches_by_the_square_root(self) -> None:
        assert recipe("digits", batch_size=16).learning_rate == pytest.approx(recipe("digits").learning_rate / 2)

    def test_under_adamw_by_the_square_root(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(RECIPES, "adam", replace(RECIPES["digits"], name="adam", optimiser="adamw"))
        assert recipe("adam", batch_size=256).learning_rate == pytest.approx(2 * recipe("adam").learning_rate)

    def test_a_named_learning_rate_is_taken(self) -> None:
        chosen = chosen_recipe("digits", {"learning_rate": 0.3}, batch_size=256)
        assert (chosen.learning_rate, chosen.batch_size) == (0.3, 256)
        assert chosen.module_learning_rate == pytest.approx(2e-3)

    def test_named_milestones_are_scaled_for_a_teacher(self) -> None:
        settings = {"schedule": "steps", "milestones": [10, 20], "warmup_epochs": 9}
        assert chosen_recipe("digits", settings).milestones == (10, 20)
        teacher = chosen_recipe("digits", settings, epochs=6, milestones_of=24)
        assert (teacher.milestones, teacher.warmup_epochs) == ((2, 5), 5)

    @pytest.mark.parametrize(("milestones", "wrong"), [([150, 180], 150), ([0, 10], 0), ([10, 24], 24)])
    def test_named_milestones_that_change_nothing_are_refused(self, milestones: list[Any], wrong: int) -> None:
        settings = {"schedule": "steps", "milestones": milestones}
        with pytest.raises(WrongValue, match=f"after epochs 1 … 23 of 24; {wrong} would change nothing"):
            chosen_recipe("digits", settings)
        with pytest.raises(WrongValue, match=f"after epochs 1 … 23 of 24; {wrong} would change nothing"):
            chosen_recipe("digits", settings, epochs=6, milestones_of=24)

    def test_milestones_go_with_their_schedule(self) -> None:
        assert chosen_recipe("imagenet", {"schedule": "cosine"}).milestones == ()
        with pytest.raises(WrongValue, match="needs the epochs at which it lowers the rate"):
            chosen_recipe("digits", {"schedule": "steps"})
        for wrong in ({"milestones": [2]}, {"schedule": "cosine", "milestones": [2]}):
            with pytest.raises(WrongValue, match="milestones must name the epochs at which schedule 'steps'"):
                chosen_recipe("digits", wrong)

    def test_another_optimiser_needs_a_learning_rate(self) -> None:
        with pytest.raises(WrongValue, match=r"the 0\.05 of recipe digits is for sgd; name a learning rate for adamw"):
            chosen_recipe("digits", {"optimiser": "adamw"})
        assert chosen_recipe("digits", {"optimiser": "adamw", "learning_rate": 1e-3}).optimiser == "adamw"

    @pytest.mark.parametrize("name", RECIPES)
    def test_each_has_the_settings_of_dpk_that_belong_to_it(self, name: str) -> None:
        assert chosen_dpk(name, {}) == (IMAGENET_DPK if name == "imagenet" else CIFAR_DPK)
        changed = chosen_dpk(name, {"feature_weight": 3, "share": {"lag": True}})
        expected = replace(
            chosen_dpk(name, {}), feature_weight=3.0, share=replace(chosen_dpk(name, {}).share, lag=True)
        )
        assert changed == expected

    @pytest.mark.parametrize(("batch_size", "parts"), [(None, 2), (64, 2), (8, 2), (7, 1), (1, 1)])
    def test_parts_of_a_batch_stay_large_enough_for_cka(self, batch_size: int | None, parts: int) -> None:
        assert recipe("imagenet", batch_size=batch_size).accumulation == parts

    def test_fine_tuning_goes_in_smaller_steps(self) -> None:
        base = recipe("digits", epochs=3)
        tuned = fine_tuning(base)
        assert (tuned.name, tuned.learning_rate) == ("digits_fine_tuning", pytest.approx(base.learning_rate / 10))
        assert replace(tuned, name=base.name, learning_rate=base.learning_rate) == base

    def test_each_name_is_its_recipes_own(self) -> None:
        assert all(entry.name == name for name, entry in RECIPES.items())


class TestCodec:
    @pytest.mark.parametrize(
        ("settings", "place"),
        [
            ({"share": {"floor": 1.5}}, "method.share.floor"),
            ({"share": {"schedule": "fixed", "lag": True}}, "method.share.lag"),
            ({"share": {"levels": 1}}, "method.share.levels"),
            ({"temperature": 0}, "method.temperature"),
            ({"class_weight": -1}, "method.class_weight"),
            ({"stages": []}, "method.stages"),
            ({"stages": [{"name": "last", "weight": -1}]}, "method.stages[0].weight"),
            ({"stages": [{"name": "last", "weight": 1, "encoder": {"width": 9, "depth": 1, "heads": 2}}]},
             "method.stages[0].encoder.width"),
            ({"extra_losses": [{"name": "at", "weight": 1}] * 2}, "method.extra_losses"),
        ],
    )  # fmt: skip
    def test_what_a_dataclass_refuses_names_the_field(self, settings: dict[str, object], place: str) -> None:
        with pytest.raises(WrongValue) as raised:
            chosen_dpk("digits", settings)
        assert raised.value.place == place

    def test_differences_are_named_with_dots(self) -> None:
        other = replace(CIFAR_DPK, feature_weight=3.0, share=replace(CIFAR_DPK.share, floor=0.2))
        assert differences(other, CIFAR_DPK) == {"feature_weight": 3.0, "share.floor": 0.2}
        assert differences(CIFAR_DPK, CIFAR_DPK) == {}

    def test_there_and_back(self, training: TrainingSpec) -> None:
        spec = RunSpec(training=training, stop_epoch=2)
        assert from_json(RunSpec, json.loads(json.dumps(to_json(spec)))) == spec

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            ({"surprise": 1}, "RunSpec: unknown name 'surprise'"),
            ({"stop_epoch": "2"}, "RunSpec.stop_epoch: expected int, not str"),
            ({"stop_epoch": True}, "RunSpec.stop_epoch: expected int, not bool"),
            ({"training": None}, "RunSpec.training: expected an object, not NoneType"),
        ],
    )
    def test_errors_name_the_place(self, training: TrainingSpec, change: dict[str, object], sentence: str) -> None:
        value = to_json(RunSpec(training=training, stop_epoch=2)) | change
        with pytest.raises(ValueError, match=sentence):
            from_json(RunSpec, value)

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400], ids=["nan", "inf", "-inf", "huge"])
    def test_a_number_that_is_not_finite_names_its_place(self, value: float) -> None:
        with pytest.raises(WrongValue, match=r"method\.share\.floor: expected a finite number"):
            chosen_dpk("digits", {"share": {"floor": value}})

    def test_a_missing_name_is_told(self, training: TrainingSpec) -> None:
        with pytest.raises(ValueError, match="'stop_epoch' is missing"):
            from_json(RunSpec, {"training": to_json(training)})

    def test_a_literal_is_checked(self, training: TrainingSpec) -> None:
        value = to_json(training) | {"role": "master"}
        with pytest.raises(ValueError, match="'master' is not one of 'teacher', 'student'"):
            from_json(TrainingSpec, value)


class TestProtocol:
    def test_commands_survive_the_line(self, training: TrainingSpec) -> None:
        file = ArtifactReference(path="checkpoints/a.pt", sha256="0" * 64, bytes=3)
        command = RunCommand(
            run_id="r", spec=RunSpec(training=training, stop_epoch=2), artifact_root="a", checkpoint_prefix="p",
            weights_path="w", teacher_weights=file, data_root=None,
            resume=Checkpoint(file=file, step=5, epoch=1, seconds=0.5),
        )  # fmt: skip
        assert decode_command(encode(command)) == command
        assert decode_command(encode(StopCommand())) == StopCommand()

    def test_events_survive_the_line(self) -> None:
        result = RunResult(
            epochs=2, validation_score=0.5, test_score=None, validation_pictures=10, test_pictures=10,
            seconds=1.0, parameters=7, device="cpu", device_name="x", weights=None,
        )  # fmt: skip
        for event in (
            Finished(run_id="r", result=result),
            Measured(run_id="r", step=1, epoch=1, values={"share.last": 0.5}),
        ):
            line = encode(event)
            assert "\n" not in line
            assert decode_event(line) == event

    @pytest.mark.parametrize("line", ["", "[]", "{}", '{"type": "run"}', '{"type": "nonsense"}', "Epoch 1/10 done"])
    def test_noise_is_refused_with_the_line_in_the_sentence(self, line: str) -> None:
        with pytest.raises(ProtocolFault, match="not a message of the runner protocol"):
            decode_event(line)

    def test_a_number_that_is_none_never_leaves(self) -> None:
        with pytest.raises(ValueError, match="JSON"):
            encode(Measured(run_id="r", step=1, epoch=1, values={"train_loss": float("nan")}))


def test_an_invalid_request_reads_as_one_sentence_with_its_alternative() -> None:
    error = InvalidRequest("teachers[1]", "There is no model 'cifar/resnet21'.", "cifar/resnet20")
    assert str(error) == "There is no model 'cifar/resnet21'. Nearest valid choice: cifar/resnet20."
