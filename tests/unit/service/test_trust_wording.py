"""Whether the probe beats the rules, in words."""

from __future__ import annotations

from service.presentation.trust_words import paired_sentences, rival_lines
from service.wire.trust import Measured, Rival, Trust
from tests.unit.web import sample_trust


def between(low: float | None, high: float | None) -> Measured:
    return Measured(value=0.002, low=low, high=high, confidence=0.9)


def trust(*, whole: bool, questions: int = 7, **over_probe: Measured | None) -> Trust:
    """With the given differences in this job and over all jobs; every other rule is not measurable."""
    found = sample_trust.trust(finished=True)
    rivals = [_changed(rival, over_probe.get(rival.name), questions) for rival in found.rivals]
    return found.model_copy(update={"rivals": rivals, "trained": 5 if whole else 2})


def with_paired(found: Trust, **change: int) -> Trust:
    changed = found.model_copy(deep=True)
    for rival in changed.rivals:
        if rival.record.paired is not None:
            rival.record.paired = rival.record.paired.model_copy(update=change)
    return changed


def _changed(rival: Rival, over: Measured | None, questions: int) -> Rival:
    paired = rival.record.paired
    if paired is not None:
        several = questions > 1 and over is not None and over.low is not None
        new = {"questions": questions, "complete": min(2, questions), "difference": over if several else None}
        paired = paired.model_copy(update=new)
    return rival.model_copy(update={"over_probe": over, "record": rival.record.model_copy(update={"paired": paired})})


def test_shown_not_shown_and_beaten_are_told_apart() -> None:
    found = trust(
        whole=False, size=between(0.001, 0.003), random=between(0.001, 0.004), logme=between(-0.001, 0.003),
        leep=between(0.0, 0.0), h_score=between(-0.003, -0.001), teacher_accuracy=between(None, None),
    )  # fmt: skip
    assert paired_sentences(found) == [
        "In this job, among the fully trained, the probe is shown to beat the largest and one at random; it is not "
        "shown to beat LogME and LEEP; it is shown to be beaten by H-score.",
        "Over all jobs, 7 questions, the probe is shown to beat the largest and one at random; it is not shown to beat "
        "LogME and LEEP; it is shown to be beaten by H-score.",
        "In 2 of these questions every teacher was trained fully; in the others a dropped one may have been the best.",
    ]


def test_how_many_questions_hide_something() -> None:
    found = trust(whole=True, size=between(0.001, 0.003))
    assert paired_sentences(with_paired(found, complete=7)) == paired_sentences(found)[:2]
    assert paired_sentences(with_paired(found, complete=0))[2] == (
        "In none of these questions was every teacher trained fully: a dropped one may have been the best."
    )
    fewer = found.rivals[-1].record.paired
    assert fewer is not None
    fewer.questions = 3
    assert paired_sentences(found)[1].startswith("Over all jobs, up to 7 questions, the probe")


def test_with_everybody_trained_nothing_is_hidden_in_the_job() -> None:
    said = paired_sentences(trust(whole=True, questions=1, logme=between(-0.001, 0.003)))
    assert said == [
        "In this job the probe is not shown to beat LogME.",
        "Over all jobs it cannot be measured yet: that takes two questions.",
    ]


def test_rounding_shows_nothing() -> None:
    (said, *_) = paired_sentences(trust(whole=True, questions=1, logme=between(1e-17, 1e-17)))
    assert "not shown" in said


def test_what_cannot_be_measured_is_said_once() -> None:
    nothing = ["Whether the probe beats these rules cannot be measured yet."]
    assert paired_sentences(trust(whole=True, questions=1, logme=between(None, None))) == nothing
    assert paired_sentences(sample_trust.trust(finished=False)) == nothing


def test_a_job_of_one_seed_in_a_store_that_knows_more() -> None:
    found = trust(whole=True, logme=between(0.001, 0.002))
    rivals = [rival.model_copy(update={"over_probe": None}) for rival in found.rivals]
    here, *_ = paired_sentences(found.model_copy(update={"rivals": rivals}))
    assert here == "In this job it cannot be measured whether the probe beats these rules."


def test_cells_say_why_there_is_no_interval() -> None:
    found = trust(whole=True, size=between(None, None), h_score=between(-0.001, 0.003))
    under = {line.rule: (line.paired, line.paired_under) for line in rival_lines(found)}
    assert under["The probe"] == ("–", "")
    assert under["The largest"] == ("+0.20", "one seed, no interval")
    assert under["H-score"] == ("+0.20", "−0.10 to +0.30")
    assert under["The most accurate"] == ("–", "not measurable")
