"""Tables grow by whole seeds, are read once they are whole, and hold what was trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import table, train_tables, trials
from benchmarks.definitions import CLAIM_ARMS, DEFINITIONS, METHODS, Definition
from benchmarks.subsets import Subset
from benchmarks.table import Table
from dpk_core.recipes import recipe
from dpk_core.spec import TrainingSpec
from tests.unit.benchmarks.made_up_table import made_up

RECIPE = replace(recipe("digits"), epochs=1, batch_size=20, warmup_epochs=0)
TINY = Definition(
    name="tiny", subset=Subset(name="tiny", source="source", train=100), student="cifar/resnet8w4",
    teachers=("cifar/resnet8w8",), labels=("logits", "kd"), student_recipe=RECIPE, teacher_recipe=RECIPE,
    pretrained_on=Subset(name="five", source="five", train=100), pretraining_recipe=RECIPE,
)  # fmt: skip


def of_seed(seed: int, name: str = "one-logits", **metadata: object) -> Table:
    """One seed of a table that still grows."""
    found = made_up(name, seed)
    named = {key: None for key in table.DEFINED_BY if key not in found.metadata}
    arms = [
        arm if arm["teacher"] is None else {**arm, "test_accuracy": 0.9 + 0.01 * seed} for arm in found.metadata["arms"]
    ]
    return Table(
        metadata={
            **found.metadata, **named, "seeds": [seed], "trained": [{"machine": f"machine {seed}"}], "arms": arms,
            "diverged": [[seed == 1] for _ in found.teachers], **metadata,
        },
        validation_right_ASEV=found.validation_right_ASEV[:, :1], test_right_ASN=found.test_right_ASN[:, :1],
        seconds_ASE=found.seconds_ASE[:, :1], train_loss_ASE=found.train_loss_ASE[:, :1],
    )  # fmt: skip


def test_a_table_is_whole_with_its_last_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "TABLES", tmp_path)
    assert table.kept("one-logits", tmp_path) is None
    growing = tmp_path / "growing" / "one-logits.npz"
    for seed in (2, 0):
        assert table.grow(of_seed(seed), (0, 1, 2), tmp_path) == growing
        assert table.read_all(CLAIM_ARMS) == []
    assert table.grow(of_seed(1), (0, 1, 2), tmp_path) == tmp_path / "one-logits.npz"
    assert not growing.exists()
    assert table.read_all() == []  # DPK and KD alone
    (found,) = table.read_all(CLAIM_ARMS)
    assert found.metadata["seeds"] == [0, 1, 2]
    assert [each["machine"] for each in found.metadata["trained"]] == ["machine 0", "machine 1", "machine 2"]
    assert found.metadata["diverged"][0] == [False, True, False]
    assert found.metadata["arms"][1]["test_accuracy"] == pytest.approx(0.91)
    for seed in (0, 1, 2):
        assert np.array_equal(found.test_right_ASN[:, seed], of_seed(seed).test_right_ASN[:, 0])
        assert np.array_equal(found.validation_right_ASEV[:, seed], of_seed(seed).validation_right_ASEV[:, 0])


def test_seeds_of_another_definition_are_refused() -> None:
    with pytest.raises(ValueError, match=r"one-logits: the seeds trained so far differ in recipe.*another name"):
        table.joined(of_seed(0), of_seed(1, recipe={"epochs": 3}))
    with pytest.raises(ValueError, match=r"seeds \[1, 1\] are not distinct"):
        table.joined(of_seed(1), of_seed(1))


def one_by_one(wanted: list[tuple[Subset, TrainingSpec]], _: int) -> None:
    """`trials.carry_out_all` without processes of its own."""
    for subset, spec in sorted(wanted, key=lambda each: each[1].role != "teacher"):
        if trials.load(spec) is None:
            trials.carry_out(subset, [spec])


def test_a_later_session_trains_the_missing_seeds_alone(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def carried_out(wanted: list[tuple[Subset, TrainingSpec]], processes: int) -> None:
        asked.extend(spec.seed for _, spec in wanted if spec.role == "student")
        one_by_one(wanted, processes)

    monkeypatch.setattr(trials, "carry_out_all", carried_out)
    folder = data / "tables"
    monkeypatch.setattr(train_tables, "SEEDS", (0,))
    train_tables.train(TINY, 1, "first", folder)
    first = {label: table.kept(f"tiny-{label}", folder) for label in TINY.labels}
    # One seed was all there was: the tables are whole. With a second to come they would have stayed where they grow.
    growing = folder / "growing"
    for path in folder.glob("*.npz"):
        path.rename(growing / path.name)
    asked.clear()
    monkeypatch.setattr(train_tables, "SEEDS", (0, 1))
    train_tables.train(TINY, 1, "second", folder)
    assert set(asked) == {1}
    asked.clear()
    train_tables.train(TINY, 1, "third", folder)
    assert asked == []
    for label in TINY.labels:
        found, before = table.kept(f"tiny-{label}", folder), first[label]
        assert found is not None
        assert before is not None
        assert found.metadata["seeds"] == [0, 1]
        assert (folder / f"tiny-{label}.npz").exists()
        assert np.array_equal(found.test_right_ASN[:, :1], before.test_right_ASN)
        weights = [each["teacher_weights"]["cifar/resnet8w8"] for each in found.metadata["trained"]]
        assert weights == [trials.weights_hash(TINY.teacher("cifar/resnet8w8").key())] * 2
        assert found.metadata["pretraining"]["dataset"] == "five"
        assert found.metadata["settings"]["kd"] == (None if label == "kd" else {
            "class_weight": 1.0, "logit_weight": 1.0, "temperature": 1.0,
        })  # fmt: skip


def test_tables_of_one_data_set_have_the_same_teachers() -> None:
    trained = {}
    for each in DEFINITIONS:
        how = each.teachers, each.teacher_recipe, each.pretrained_on, each.pretraining_recipe
        assert trained.setdefault(each.subset, how) == how
        assert set(each.labels) <= METHODS.keys()
