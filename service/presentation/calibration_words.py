"""Whether stated chances came true, in words."""

from __future__ import annotations

from dpk_core.selection.evaluate.calibration import LEAST_CLAIMS, Calibration
from service.presentation.numbers import counted


def calibration_sentence(found: Calibration) -> str:
    """How often the stated sets held the winner, or why that is not known yet."""
    if found.held is None or found.size is None:
        return (
            f"Not measurable yet: of {counted(found.jobs, 'job')} that stated chances, {found.claims} trained enough "
            f"teachers fully to tell whether they held; it takes {LEAST_CLAIMS}."
        )
    held = found.held
    span = f"{100 * held.confidence:.0f}% interval {100 * held.low:.0f} to {100 * held.high:.0f}%"
    return (
        f"The stated {100 * found.confidence:.0f}% sets held the winner in {100 * held.value:.0f}% of "
        f"{counted(found.claims, 'job')} ({span}); they had {found.size:.1f} teachers on average. " + _truth(found)
    )


def _truth(found: Calibration) -> str:
    if found.exhaustive == found.claims:
        return "In each of them every teacher was trained fully."
    return (
        f"In {found.exhaustive} of the {found.claims} every teacher was trained fully, in the others at least one "
        "outside the set, so a miss may have stayed hidden there."
    )
