"""Boxes on pictures: one colour per class, the same on all pictures of a page."""

from __future__ import annotations

from collections.abc import Iterable

HUES = 6
MOST_NAMED = 12
"""Classes that a key names."""


def box_colours(labels: Iterable[str]) -> dict[str, str]:
    """A colour of `style.css` for each class, in the order of their names; of many classes some share one."""
    return {label: f"var(--box-{place % HUES})" for place, label in enumerate(sorted(set(labels)))}
