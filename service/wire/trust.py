"""How far a leaderboard can be trusted, on the wire: what its rows share, and every cheaper rule beside the probe."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from service.schemas import Wire

RivalName = Literal[
    "probe", "teacher_accuracy", "size", "cka_gap", "logme", "leep", "h_score", "ratio_1_2", "previous_winner", "random"
]


class Measured(Wire):
    """A value with its interval at `confidence`; `low` and `high` are None where nothing tells its spread."""

    value: float
    low: float | None
    high: float | None
    confidence: float


class RivalComparison(Wire):
    """The probe against a rule over `questions` in which both could be judged.

    `ahead`, `equal`, `behind`: in how many the rule's pick lost more than the probe's, as much, less.
    """

    questions: int
    complete: int = Field(
        description="In how many of them every teacher was trained fully; in the others a dropped one may have been "
        "the best."
    )
    ahead: int
    equal: int
    behind: int
    difference: Measured | None = Field(
        description="Mean of `over_probe`. The probe is shown to beat the rule where `low` is above 0; None for fewer "
        "than two questions."
    )


class RivalRecord(Wire):
    """A rule over this and earlier questions with the same method and data, each judged by itself."""

    questions: int
    hits: Measured | None = Field(description="How often its pick among the fully trained was the winner.")
    regret: Measured | None = Field(description="Accuracy that its pick lost on average, as a fraction.")
    paired: RivalComparison | None = Field(description="None for the probe itself.")


class Rival(Wire):
    """A rule that names a teacher, and what following it would have given; `probe` is the one the others must beat.

    Among several `picks` the rule cannot tell; it then counts as taking one of them at random.
    """

    name: RivalName
    title: str
    picks: list[str] = Field(description="Its choice among all teachers; empty where it has none.")
    trained_picks: list[str] = Field(description="Its choice among the fully trained.")
    hit: float | None = Field(description="Part of the picks that is the winner; None where one was not trained fully.")
    chance: float | None = Field(description="Chance that the pick truly is the best of the fully trained.")
    regret: Measured | None = Field(description="Accuracy lost by its pick among the fully trained, as a fraction.")
    regret_two: Measured | None = Field(description="The same for the better one of its two best.")
    over_probe: Measured | None = Field(
        description="Its regret less the probe's, both from the same draws: the probe is shown to beat it in this job "
        "where `low` is above 0. None for the probe itself and where one of them has no pick among the fully trained."
    )
    note: str | None
    record: RivalRecord


class Trust(Wire):
    """`stamp`: short for all that a student's accuracy depends on except teacher and seed; `stamp_holds` says what.

    `teachers`, `trained`, `audited`: how many there are, were trained fully, and were so only to check on the dropping.
    """

    stamp: str
    stamp_holds: list[str]
    teachers: int
    trained: int
    audited: int
    winner: str | None = Field(description="The fully trained teacher with the best mean accuracy of its students.")
    note: str = Field(description="Over which teachers hits and regrets are, and what that leaves out.")
    rivals: list[Rival]
