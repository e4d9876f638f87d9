"""Numbers and sentences as people read them."""

from __future__ import annotations

import pytest

from service.presentation import decision_words, numbers, words
from service.wire.boards import Correlation, Interval, Ledger, PreparedTeacher, Summary
from service.wire.choices import PreparationKind
from tests.unit.web import sample


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"), (0, "0 s"), (4.26, "4.3 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (250, "4 min 10 s"),
        (7501, "2 h 05 min"),
    ],
)  # fmt: skip
def test_duration(seconds: float | None, text: str) -> None:
    assert numbers.duration(seconds) == text


def test_points_carry_their_sign() -> None:
    assert [numbers.points(value) for value in (0.0123, -0.0123)] == ["+1.23", "−1.23"]
    assert numbers.points(-0.00001) == "0.00"


def test_spread_of_one_seed_is_the_value_alone() -> None:
    assert words.spread(Summary(mean=0.9444, sd=0.0052, seeds=3)) == "94.44% ± 0.52"
    assert words.spread(Summary(mean=0.9444, sd=None, seeds=1)) == "94.44%"
    assert words.spread(None) == "–"


def test_intervals() -> None:
    gain = Interval(value=0.01, low=-0.003, high=0.027, confidence=0.95)
    assert (numbers.gain_value(gain), numbers.gain_bounds(gain)) == ("+1.0", "−0.3 to +2.7")
    assert words.bounds(Interval(value=0.94, low=0.931, high=0.952, confidence=0.95)) == "93.1 to 95.2%"


def test_count() -> None:
    assert [numbers.count(n) for n in (None, 512, 1234, 77_300, 1_236_000)] == ["–", "512", "1.2k", "77k", "1.24M"]


def test_correlations_tell_value_interval_and_pairs_and_once_why_there_is_none() -> None:
    known = Correlation(
        name="teacher_full", title="teacher and student", scope="job", value=-0.5, low=-0.9, high=0.2,
        confidence=0.9, pairs=6, note=None, statistic="pearson", rung=None,
    )  # fmt: skip
    unknown = known.model_copy(update={"value": None, "low": None, "high": None, "note": "It takes 4 teachers."})
    other = unknown.model_copy(update={"title": "probe and full"})
    ranks = known.model_copy(update={"statistic": "kendall"})
    assert words.correlation_sentences([unknown, known, ranks, other]) == [
        "Teacher and student: −0.50, 90% interval −0.90 to 0.20 (from 6 pairs).",
        "2 other coefficients: it takes 4 teachers.",
    ]


@pytest.mark.parametrize(
    ("kind", "epochs", "seconds", "text"),
    [
        ("train", 8, None, "8 epochs of training"), ("as_is", 0, 0.4, "taken as it is, 0.4 s"),
        ("head", 1, 3.0, "1 epoch of training a new head, 3.0 s"),
        ("fine_tune", 5, 61, "5 epochs of fine-tuning, 1 min 01 s"),
    ],
)  # fmt: skip
def test_how_a_teacher_was_prepared(kind: PreparationKind, epochs: int, seconds: float | None, text: str) -> None:
    prepared = PreparedTeacher(weights="pretrained", identity="x", kind=kind, epochs=epochs, seconds=seconds)
    assert words.preparation(prepared).replace(numbers.NO_BREAK, " ") == text


def test_nothing_is_said_of_teachers_that_were_trained_as_usual() -> None:
    assert words.preparation_sentence(sample.leaderboard().rows) == ""
    assert words.preparation_sentence(sample.with_weights().rows).startswith("Teachers: ")


def test_the_ledger_says_what_was_spent_saved_and_reused() -> None:
    ledger = sample.leaderboard("finished").ledger
    said = words.ledger_sentence(ledger)
    assert said.startswith("3 min 52 s of training spent; 2 min 18 s saved")
    assert "12 s more came from the store" in said
    nothing: Ledger = ledger.model_copy(update={"spent": 0.0, "reused": 220.0})
    assert words.ledger_sentence(nothing).startswith("Nothing was trained anew")


def test_a_queued_job_has_a_headline() -> None:
    assert sample.leaderboard("queued").job.headline == "Waiting for a worker to begin."
    assert sample.leaderboard("exploring").job.headline.startswith("No verdict yet: short trainings")


def test_a_cancelled_job_says_when_and_what_is_kept() -> None:
    assert sample.job("cancelled", "exploring").headline == (
        "Cancelled by request on 23 Nov 2026, 09:34 UTC, while short trainings under the teachers were being compared. "
        "What was trained until then is kept: another job that asks for the same goes on from it."
    )
    assert sample.job("cancelled", "queued").headline == (
        "Cancelled by request on 23 Nov 2026, 09:34 UTC, before anything was trained."
    )


def test_a_chance_is_never_quite_certain() -> None:
    assert [numbers.chance(value) for value in (None, 0.0, 0.004, 0.27, 0.996, 1.0)] == [
        "–", "<1%", "<1%", "27%", ">99%", ">99%",
    ]  # fmt: skip


def test_a_decision_says_under_whom_where_and_how_far() -> None:
    first, _, last = sample.leaderboard().decisions
    assert decision_words.who(last) == "no teacher, resnet20 and resnet14"
    assert decision_words.where(last) == "seeds 0, 1 and 2, to epoch 24"
    assert decision_words.where(first) == "seed 0, to epoch 6"
    audit = [last.steps[-1].model_copy(update={"purpose": "audit"})]
    assert decision_words.who(last.model_copy(update={"steps": audit})) == "resnet14 (audit)"
    empty = last.model_copy(update={"steps": []})
    assert (decision_words.who(empty), decision_words.where(empty)) == ("nobody", "")


def test_how_sure_a_verdict_is() -> None:
    verdict = sample.leaderboard().verdict
    assert verdict is not None
    assert words.odds(verdict) == (
        "Best of the teachers with a chance of 64%, within 0.3 points of the best with 93%; expected loss 0.11 points. "
        "Training all of them fully would change the answer with a chance of 8%."
    )
    assert words.odds(None) == words.odds(verdict.model_copy(update={"chance": None})) == ""
    assert words.odds(verdict.model_copy(update={"kind": "no_teacher", "best": None})) == ""
