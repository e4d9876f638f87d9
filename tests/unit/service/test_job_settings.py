"""Method and recipe of a job: every setting arrives, as asked, in the specifications that are stored."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, get_type_hints

import pytest
from fastapi.testclient import TestClient
from pydantic import BaseModel

from dpk_core.codec import from_json
from dpk_core.detection_settings import PyramidSettings
from dpk_core.dpk_settings import CIFAR_DPK, IMAGENET_DPK, DpkSettings, KdSettings, StageSettings
from dpk_core.recipes import RECIPES, recipe
from dpk_core.spec import MethodSpec, Recipe, RunSpec, TrainingSpec
from service.app import create_app
from service.settings import Settings
from service.wire.setting_choices import MethodChoice, RecipeChoice
from tests.contract import job_driver as drive

REQUEST: dict[str, Any] = {
    "student": "cifar/resnet8w4", "dataset": "digits", "teachers": ["cifar/resnet20"], "seeds": 1,
    "budget": {"epochs": 8, "rungs": [2, 8], "promote": 1, "teacher_epochs": 4},
}  # fmt: skip


@pytest.fixture
def client(embedded: Callable[..., Settings]) -> Iterator[TestClient]:
    """The application over a fresh SQLite database."""
    embedded()
    with TestClient(create_app()) as opened:
        yield opened


def posted(client: TestClient, **changes: Any) -> str:
    """The id of a job that was accepted."""
    answer = client.post("/selection-jobs", json={**REQUEST, **changes})
    assert answer.status_code == 202, answer.json()
    return str(answer.json()["id"])


def refused(client: TestClient, **changes: Any) -> list[tuple[str, str, str | None]]:
    """Field, message and offer of everything that is wrong."""
    answer = client.post("/selection-jobs", json={**REQUEST, **changes})
    assert answer.status_code == 422
    return [(error["field"], error["message"], error["nearest"]) for error in answer.json()["errors"]]


def stored(job_id: str) -> tuple[TrainingSpec, TrainingSpec]:
    """The specifications of a teacher and of a student under it, as stored with the runs."""
    drive.run_to_end(job_id)
    specs = [from_json(RunSpec, run.spec).training for run in drive.runs_of(job_id)]
    teacher = next(spec for spec in specs if spec.role == "teacher")
    return teacher, next(spec for spec in specs if spec.teacher is not None)


class TestStored:
    def test_a_method_with_settings(self, client: TestClient) -> None:
        stages = [{"name": "last", "weight": 2.0, "patch": 1}]
        given = {
            "name": "dpk", "profile": "paper", "feature_weight": 3.0, "temperature": 2, "stages": stages,
            "share": {"floor": 0.2, "lag": True}, "extra_losses": [{"name": "dkd", "weight": 0.5}],
        }  # fmt: skip
        job_id = posted(client, method=given)
        _, student = stored(job_id)
        expected = from_json(DpkSettings, {"extra_losses": given["extra_losses"]})
        last = StageSettings(name="last", weight=2.0, patch=1)
        assert student.method == MethodSpec(
            name="dpk", profile="paper",
            dpk=replace(
                expected, feature_weight=3.0, temperature=2.0, stages=(last,),
                share=replace(CIFAR_DPK.share, floor=0.2, lag=True),
            ),
        )  # fmt: skip
        answer = client.get(f"/selection-jobs/{job_id}").json()
        assert answer["request"]["method"] == {**given, "temperature": 2.0}

    def test_a_name_alone_has_the_settings_of_the_recipe(self, client: TestClient) -> None:
        job_id = posted(client)
        _, student = stored(job_id)
        assert student.method == MethodSpec(name="dpk", dpk=CIFAR_DPK)
        assert client.get(f"/selection-jobs/{job_id}").json()["request"]["method"] == "dpk"

    def test_kd_with_settings(self, client: TestClient) -> None:
        _, student = stored(posted(client, method={"name": "kd", "temperature": 1}))
        assert student.method == MethodSpec(name="kd", kd=replace(KdSettings(), temperature=1.0))
        assert stored(posted(client, method="kd"))[1].method == MethodSpec(name="kd", kd=KdSettings())

    def test_recipe_imagenet_brings_its_settings_of_dpk(self, client: TestClient) -> None:
        budget = {**REQUEST["budget"], "batch_size": 128}
        teacher, student = stored(posted(client, recipe="imagenet", budget=budget))
        assert student.method == MethodSpec(name="dpk", dpk=IMAGENET_DPK)
        assert student.recipe == recipe("imagenet", epochs=8, batch_size=128)
        assert student.recipe.learning_rate == pytest.approx(0.1 * (128 / 2048) ** 0.5)
        assert teacher.recipe == recipe("imagenet", epochs=4, batch_size=128)

    def test_settings_override_those_of_the_recipe_one_by_one(self, client: TestClient) -> None:
        _, student = stored(
            posted(
                client,
                recipe={"name": "imagenet", "batch_size": 64, "learning_rate": 0.2, "precision": "bfloat16"},
                method={"class_weight": 1.0, "share": {"fallback": 0.7}},
            )
        )
        share = replace(IMAGENET_DPK.share, fallback=0.7)
        assert student.method.dpk == replace(IMAGENET_DPK, class_weight=1.0, share=share)
        base = recipe("imagenet", epochs=8, batch_size=64)
        assert student.recipe == replace(base, learning_rate=0.2, precision="bfloat16")

    def test_a_recipe_without_a_name_is_the_data_sets_own(self, client: TestClient) -> None:
        given = {"ema_decay": 0.99, "clip_norm": None, "milestones": [2, 4], "schedule": "steps", "epochs": 16}
        budget = {"promote": 1, "teacher_epochs": 8}
        teacher, student = stored(posted(client, recipe=given, budget=budget))
        base = recipe("digits", epochs=16)
        assert student.recipe == replace(base, ema_decay=0.99, milestones=(2, 4), schedule="steps")
        assert (teacher.recipe.epochs, teacher.recipe.milestones, teacher.recipe.ema_decay) == (8, (1, 2), 0.99)

    def test_the_modules_rate_is_not_the_teachers(self, client: TestClient) -> None:
        teacher, student = stored(posted(client, recipe={"module_learning_rate": 1e-4}))
        assert student.recipe.module_learning_rate == 1e-4
        assert teacher.recipe == recipe("digits", epochs=4)

    def test_other_settings_are_other_content(self, client: TestClient) -> None:
        methods: list[Any] = ["dpk", {"feature_weight": 3.0}, {"share": {"floor": 0.2}}, {"profile": "paper"}, "kd"]
        recipes: list[Any] = [{"mixup": 0.2}, {"precision": "bfloat16"}, {"learning_rate": 0.1}]
        asked = [{"method": each} for each in methods] + [{"recipe": each} for each in recipes]
        keys = [stored(posted(client, **each))[1].key() for each in asked]
        assert len(set(keys)) == len(keys)


def test_every_field_of_the_dataclasses_can_be_asked_for() -> None:
    of_detection = {field.name for field in dataclasses.fields(PyramidSettings)}
    _same_fields(MethodChoice, DpkSettings, beside={"name", "profile", "inherit"} | of_detection)
    assert {field.name for field in dataclasses.fields(KdSettings)} <= set(MethodChoice.model_fields)
    _same_fields(RecipeChoice, Recipe)


def _same_fields(model: type[BaseModel], kind: type, beside: set[str] | frozenset[str] = frozenset()) -> None:
    hints = get_type_hints(kind)
    assert set(model.model_fields) == {field.name for field in dataclasses.fields(kind)} | beside
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            _same_fields(field.annotation, hints[name])


class TestRefused:
    @pytest.mark.parametrize(
        ("change", "field", "words", "nearest"),
        [
            ({"method": {"share": {"floor": 1.5}}}, "method.share.floor", "must be in 0 … 1, not 1.5.", None),
            ({"method": {"share": {"schedule": "fixed", "lag": True}}}, "method.share.lag", "follows CKA", None),
            ({"method": {"temperature": 0}}, "method.temperature", "above 0", None),
            ({"method": {"feature_weigth": 1}}, "method.feature_weigth", "no such field", "feature_weight"),
            ({"method": {"name": "kd", "feature_weight": 1}}, "method.feature_weight",
             "kd has only the settings class_weight, logit_weight, temperature", None),
            ({"method": {"name": "kd", "profile": "paper"}}, "method.profile", "take dpk", None),
            ({"method": {"name": "crd", "temperature": 2}}, "method.temperature", "crd has no settings", None),
            ({"method": {"name": "dpk_features_only", "logit_weight": 2}}, "method.logit_weight",
             "dpk_features_only has only the settings", None),
            ({"method": {"name": "dpk_no_teacher_tokens", "share": {"floor": 0.9}}}, "method.share",
             "dpk_no_teacher_tokens has only the settings", None),
            ({"recipe": {"schedule": "steps"}}, "recipe.milestones", "needs the epochs", None),
            ({"method": {"name": "kd", "temperature": 0}}, "method.temperature", "above 0, not 0.0", None),
            ({"method": {"stages": [{"name": "fourth_last", "weight": 1}]}}, "method.stages[0].name",
             "four feature maps of at least 2x2. On 8x8 pictures cifar/resnet8w4 has three; method kd", "third_last"),
            ({"method": {"stages": [{"name": "second_last", "weight": 1, "patch": 3}]}}, "method.stages[0].patch",
             "do not tile the 4x4 map of cifar/resnet20", "2"),
            ({"method": {"stages": [{"name": "last", "weight": 1, "patch": 2}]}}, "method.stages[0].patch",
             "leave 1 of the 2x2 map of cifar/resnet20", "1"),
            ({"recipe": {"mixup": -1}}, "recipe.mixup", "at least 0, not -1", None),
            ({"recipe": {"accumulation": 100}}, "recipe.accumulation", "in 1 … 64", None),
            ({"recipe": {"accumulation": 32}}, "recipe.accumulation", "in each of 32 parts of a batch of 64", "16"),
            ({"recipe": {"optimiser": "adamw"}}, "recipe.learning_rate", "name a learning rate for adamw", None),
            ({"recipe": {"batch_size": 2}}, "recipe.batch_size", "at least 4 pictures in a batch", "4"),
            ({"recipe": {"epochs": 9}}, "budget.epochs", "recipe.epochs says 9 and this says 8", "9"),
            ({"recipe": {"name": "imagnet", "mixup": 1}}, "recipe.name", "There is no recipe 'imagnet'", "imagenet"),
        ],
    )  # fmt: skip
    def test_one_thing_wrong(
        self, client: TestClient, change: dict[str, Any], field: str, words: str, nearest: str | None
    ) -> None:
        (error,) = refused(client, **change)
        assert (error[0], error[2]) == (field, nearest)
        assert words in error[1]

    def test_method_and_recipe_are_refused_together(self, client: TestClient) -> None:
        found = refused(client, method={"temperature": 0}, recipe={"mixup": -1})
        assert [field for field, *_ in found] == ["method.temperature", "recipe.mixup"]


class TestShown:
    def test_the_setup_says_what_was_changed(self, client: TestClient) -> None:
        job_id = posted(
            client, method={"feature_weight": 3.0, "class_weight": 1.0}, recipe={"mixup": 0.2},
            budget={**REQUEST["budget"], "batch_size": 128},
        )  # fmt: skip
        setup = client.get(f"/selection-jobs/{job_id}/leaderboard").json()["setup"]
        assert setup["method_changes"] == {"feature_weight": 3.0}
        assert setup["method_settings"]["dpk"]["share"]["floor"] == 0.15
        assert setup["recipe_changes"] == {"mixup": 0.2}
        assert setup["recipe_settings"]["augmentation"] == "shift"
        assert (setup["side"], setup["channels"]) == (8, 1)
        assert setup["learning_rate"] == pytest.approx(2 * RECIPES["digits"].learning_rate)
        assert setup["recipe_notes"] == [
            "The learning rate follows the batch size in proportion: 0.05 of recipe digits for batches of 64, times 2 "
            "for batches of 128.",
            "The learning rate of the method's modules follows the batch size by the square root: 0.001 of recipe "
            "digits, times 1.41.",
        ]

    @pytest.mark.parametrize("path", ["/jobs/{}", "/selection-jobs/{}/report"])
    def test_page_and_report_show_it(self, client: TestClient, path: str) -> None:
        job_id = posted(client, method={"feature_weight": 3.0}, recipe={"precision": "bfloat16", "learning_rate": 0.1})
        text = " ".join(client.get(path.format(job_id)).text.split())
        assert "8 x 8 px, 1 channel; 898 for training" in text
        assert "dpk, probe profile; not by default: feature_weight 3<" in text
        assert "digits: SGD, learning rate 0.1, batches of 64, random shifts, bfloat16." in text
        assert "Changed: learning_rate 0.1, precision bfloat16." in text
        assert "DPK (feature_weight 3) ·" in text
