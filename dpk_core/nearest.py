"""The choice that a mistyped word most likely stands for."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LIKENESS = 0.6
"""Least similarity (difflib's ratio, 0 … 1) of a choice that is offered; below it the offer would be a guess."""


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice most like `word`, upper and lower case being equal; None where none is alike."""
    by_lower = {choice.lower(): choice for choice in choices}
    found = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=LIKENESS)
    return by_lower[found[0]] if found else None
