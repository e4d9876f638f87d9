"""Stamp and rivals of the sample leaderboard."""

from __future__ import annotations

from service.scheduling.protocol_id import HOLDS
from service.wire.trust import Measured, Rival, RivalComparison, RivalName, RivalRecord, Trust

STAMP = "5c0a9e21"
RULES: tuple[tuple[RivalName, str, list[str]], ...] = (
    ("probe", "the probe", ["cifar/resnet20"]),
    ("teacher_accuracy", "the most accurate", ["cifar/resnet8x4"]),
    ("size", "the largest", ["cifar/resnet8x4"]),
    ("cka_gap", "the nearest to the student (CKA)", ["cifar/resnet14", "cifar/resnet20"]),
    ("logme", "LogME", ["cifar/resnet20"]),
    ("leep", "LEEP", []),
    ("h_score", "H-score", ["cifar/resnet14"]),
    ("previous_winner", "the previous winner", []),
    (
        "random",
        "one at random",
        [f"cifar/{name}" for name in ("resnet8w8", "resnet14w8", "resnet14", "resnet20", "resnet8x4")],
    ),
)


def trust(*, finished: bool) -> Trust:
    """What can be said with two of the five teachers trained fully, or none."""
    return Trust(
        stamp=STAMP, stamp_holds=list(HOLDS), teachers=5, trained=2 if finished else 0, audited=0,
        winner="cifar/resnet20" if finished else None,
        note="Over the 2 of 5 teachers that were trained fully; the others were dropped on the way, so the probe "
        "looks better here than it may be.",
        rivals=[_rival(*rule, finished) for rule in RULES],
    )  # fmt: skip


def _rival(name: RivalName, title: str, picks: list[str], known: bool) -> Rival:
    trained = [pick for pick in picks if pick in ("cifar/resnet14", "cifar/resnet20")] if known else []
    hit = trained.count("cifar/resnet20") / len(picks) if picks and trained == picks else None
    lost = 0.007 * trained.count("cifar/resnet14") / len(trained) if trained else 0.0
    regret = Measured(value=lost, low=0.0, high=lost + 0.004, confidence=0.9) if trained else None
    hits = Measured(value=0.8 if name == "probe" else 0.5, low=0.3, high=0.9, confidence=0.9) if trained else None
    over = regret and regret.model_copy(update={"low": lost - 0.004})
    paired = RivalComparison(
        questions=7 if trained else 0, complete=2 if trained else 0, ahead=3 if trained else 0,
        equal=3 if trained else 0, behind=1 if trained else 0,
        difference=Measured(value=lost, low=lost - 0.002, high=lost + 0.002, confidence=0.9) if trained else None,
    )  # fmt: skip
    return Rival(
        name=name, title=title, picks=picks, trained_picks=trained, hit=hit, chance=None if hit is None else 0.8 * hit,
        regret=regret, regret_two=regret and regret.model_copy(update={"value": 0.0}),
        over_probe=None if name == "probe" else over,
        note=None if picks else "Not measured.",
        record=RivalRecord(
            questions=10 if trained else 0, hits=hits, regret=regret, paired=None if name == "probe" else paired
        ),
    )  # fmt: skip
