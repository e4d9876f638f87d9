"""The ablation keeps a line a training, goes on from them, and reports the seeds on which every arm is finished."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import ablation, charts, record, trials
from benchmarks.ablation import Pair
from benchmarks.subsets import Subset
from dpk_core.recipes import recipe

SEEDS = (0, 1, 2)
ARMS = {name: ablation.ARMS[name] for name in (ablation.NONE, ablation.LOGITS, "DPK, β = .3, CKA")}
PAIR = Pair(
    subset=Subset(name="tiny", source="source", train=100), teacher="cifar/resnet8w8", student="cifar/resnet8w4"
)


@pytest.fixture
def small(data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An ablation of three arms, three seeds and one pair; the file that it keeps."""
    short = replace(recipe("digits"), epochs=2, batch_size=20, warmup_epochs=0)
    for name, value in {
        "SEEDS": SEEDS, "ARMS": ARMS, "PAIRS": (PAIR,), "KEPT": data / "kept.jsonl", "TEACHER_RECIPE": short,
        "COMPARISONS": (("the feature term helps", "DPK, β = .3, CKA", ablation.LOGITS),),
    }.items():  # fmt: skip
        monkeypatch.setattr(ablation, name, value)
    monkeypatch.setattr(record, "RESULTS", data)
    return data / "kept.jsonl"


def keep(file: Path, seeds: tuple[int, ...] = SEEDS, without: str = "") -> None:
    """Adds lines as `keep_new` writes them; a seed is worth a point, an arm two."""
    rows: list[dict[str, Any]] = []
    for place, (arm, method) in enumerate(ARMS.items()):
        for seed in (seed for seed in seeds if arm != without):
            curves: dict[str, list[float]] = {"validation_accuracy": [0.4, 0.5], "train_loss": [1.0, 0.5]}
            if arm.startswith("DPK"):
                curves |= {
                    "gradient.feature": [0.02, 0.04],
                    "share.last": [0.5 + seed / 10, 0.3],
                    "cka.last": [0.5, 0.7],
                }
            rows.append({
                "key": PAIR.spec(method, seed).key(), "data": "tiny", "arm": arm, "seed": seed,
                "test_accuracy": 0.5 + 0.02 * place + 0.01 * seed, "cpu_seconds": 3.0, "diverged": None,
                "teacher_weights": None if arm == ablation.NONE else "0123456789ab", "curves": curves, "machine": "m",
            })  # fmt: skip
    with file.open("a") as kept:
        kept.writelines(json.dumps(row) + "\n" for row in rows)


def test_only_what_is_not_kept_is_wanted(small: Path) -> None:
    everything = ablation.wanted()
    assert len(everything) == len(SEEDS) * (1 + len(ARMS))
    keep(small, (0, 1))
    assert {spec.seed for _, spec in ablation.wanted() if spec.role == "student"} == {2}
    keep(small, (2,), without=ablation.NONE)
    (last,) = ablation.wanted()  # no teacher is trained for it
    assert (last[1].method.name, last[1].seed) == ("none", 2)
    keep(small, (2,))
    assert ablation.wanted() == []


def test_a_row_is_of_the_seeds_on_which_every_arm_is_finished(small: Path) -> None:
    keep(small, (0, 2))
    keep(small, (1,), without=ablation.LOGITS)
    seeds, rows = ablation.rows_of(PAIR)
    assert seeds == [0, 2]
    assert [row["arm"] for row in rows] == list(ARMS)
    row = rows[-1]
    assert row["test_accuracy"] == pytest.approx([0.54, 0.56])
    assert row["mean"] == pytest.approx(55)
    assert row["gradient_norms"] == {"feature": pytest.approx(0.03)}
    assert row["shares"] == {"last": pytest.approx([0.6, 0.3])}
    assert row["cka"] == {"last": [0.5, 0.7]}
    assert row["teacher_weights"] == ["0123456789ab"] * 2
    assert rows[0]["gradient_norms"] == rows[0]["shares"] == {}


def test_one_seed_tells_no_difference(small: Path) -> None:
    keep(small, (0,))
    assert ablation.rows_of(PAIR) == ([0], [])


def test_it_is_reported_and_drawn(small: Path) -> None:
    keep(small)
    ablation.report()
    found = json.loads((small.parent / "ablation.json").read_text())
    (target,) = found["targets"]
    assert target["difference"] == {"points": 2.0, "low": 2.0, "high": 2.0, "seeds": 3}
    assert target["met"]
    drawn = (small.parent / "ablation-shares.svg").read_text()
    assert all(word in drawn for word in ("tiny", "last stage", "resnet8w8"))


def test_seeds_under_another_training_of_the_teacher_are_not_compared(small: Path) -> None:
    keep(small)
    lines = [json.loads(line) for line in small.read_text().splitlines()]
    for row in lines:
        if (row["arm"], row["seed"]) == (ablation.LOGITS, 0):
            row |= {"teacher_weights": "another", "test_accuracy": 0.9}
    small.write_text("".join(json.dumps(row) + "\n" for row in lines))
    _, rows = ablation.rows_of(PAIR)
    (target,) = ablation.claims(rows)
    assert target["difference"] == {"points": 2.0, "low": 2.0, "high": 2.0, "seeds": 2}


def test_without_shares_nothing_is_drawn(tmp_path: Path) -> None:
    assert charts.share_curves([{"data": "a", "teacher": "b", "student": "c", "shares": {}}], tmp_path) is None


def test_finished_trainings_are_kept_once(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short = ablation.TEACHER_RECIPE
    monkeypatch.setattr(Pair, "spec", lambda pair, method, seed, spec=Pair.spec: spec(pair, method, seed, short))
    teacher = PAIR.teacher_spec()
    trials.carry_out(PAIR.subset, [teacher])
    done = ("DPK, β = .3, CKA", ablation.LOGITS)
    trials.carry_out(PAIR.subset, [PAIR.spec(ARMS[arm], 1) for arm in done])
    for _ in range(2):
        ablation.keep_new()
    kept = {row["arm"]: row for row in map(json.loads, small.read_text().splitlines())}
    assert len(small.read_text().splitlines()) == len(kept) == 2
    row = kept["DPK, β = .3, CKA"]
    trial = trials.load(PAIR.spec(ARMS["DPK, β = .3, CKA"], 1))
    assert trial is not None
    assert (row["seed"], row["data"]) == (1, "tiny")
    assert row["test_accuracy"] == pytest.approx(trial.test_accuracy, abs=1e-5)
    assert row["teacher_weights"] == trials.weights_hash(teacher.key())
    assert {"validation_accuracy", "train_loss"} <= row["curves"].keys()
    for prefix in ablation.KEPT_PREFIXES:
        assert any(name.startswith(prefix) for name in row["curves"])
    assert {name for name in kept[ablation.LOGITS]["curves"] if name.startswith(("share.", "cka."))} == set()


class TestPaired:
    def test_a_common_part_of_the_seeds_cancels(self) -> None:
        found = ablation.paired([0.52, 0.72, 0.92], [0.50, 0.70, 0.90])
        assert found == {"points": 2.0, "low": 2.0, "high": 2.0, "seeds": 3}

    def test_the_interval_is_students(self) -> None:
        found = ablation.paired([0.51, 0.53], [0.50, 0.50])
        # sd = sqrt(2) points, t(.95, 1) = 6.314: half width 6.314 * sqrt(2) / sqrt(2)
        assert (found["low"], found["high"]) == (pytest.approx(2 - 6.314, abs=1e-3), pytest.approx(2 + 6.314, abs=1e-3))
