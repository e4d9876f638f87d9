"""Whether a network tells classes better than guessing does."""

from __future__ import annotations

CONFIDENCE = 0.95
"""Of the one-sided binomial test of an accuracy against guessing."""


def is_chance(accuracy: float, pictures: int, guessing: float) -> bool:
    """Whether `accuracy` on so many pictures is within noise of `guessing` or below it.

    `guessing`: the share of the most frequent class, which is what always naming that class gets right. The null
    hypothesis "right with probability `guessing`" is kept unless its one-sided p-value is below 1 - CONFIDENCE.
    """
    from scipy import special  # networks are trained where it is not installed

    right = round(accuracy * pictures)
    p_value = 1.0 if right <= 0 else float(special.bdtrc(right - 1, pictures, guessing))
    return p_value >= 1 - CONFIDENCE


def chance_sentence(who: str, accuracy: float, pictures: int, guessing: float) -> str:
    """`The teacher tells the classes no better than chance: …`, with both numbers."""
    return (
        f"{who} tells the classes no better than chance: {accuracy:.1%} of {pictures} validation pictures are right, "
        f"and always naming the most frequent class gets {guessing:.1%}."
    )


def no_detector_sentence(who: str, average_precision: float, pictures: int) -> str:
    """The same of a detector: `The teacher finds no more boxes than chance would: …`."""
    return (
        f"{who} finds no more boxes than chance would: {100 * average_precision:.1f} points of AP on {pictures} "
        "validation pictures are within noise of 0."
    )
