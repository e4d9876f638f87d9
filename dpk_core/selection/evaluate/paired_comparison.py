"""Does the probe beat a rule? Over many questions, by the paired difference of what the two lost in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dpk_core.selection.estimate import Estimate
from dpk_core.selection.statistics import mean_interval

ROUNDING = 1e-9
"""Differences of mean accuracies up to this are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedComparison:
    """The probe against a rule over `questions`, in each of which both could be judged.

    `ahead`, `equal`, `behind`: in how many the rule lost more than the probe, as much, less. `complete`: in how many of
    them every teacher was trained fully; in the others a dropped one may have been better than all that are compared.
    `difference`: accuracy that the rule lost beyond the probe's loss, mean over the questions; None for fewer than two.
    """

    questions: int
    complete: int
    ahead: int
    equal: int
    behind: int
    difference: Estimate | None


def compare_paired(fought: Sequence[tuple[float, bool]]) -> PairedComparison:
    """From each question's difference of losses, rule less probe, and whether every teacher was trained fully in it."""
    differences = [difference for difference, _ in fought]
    ahead = sum(each > ROUNDING for each in differences)
    behind = sum(each < -ROUNDING for each in differences)
    return PairedComparison(
        questions=len(fought),
        complete=sum(complete for _, complete in fought),
        ahead=ahead,
        equal=len(fought) - ahead - behind,
        behind=behind,
        difference=mean_interval(differences),
    )
