"""Unicode spellings of one name: macOS unpacks `é` as two characters (NFD), most others write one (NFC)."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from dpk_core.display import listed


def composed(name: str) -> str:
    """The name in NFC. Names that are the same in it are one name."""
    return unicodedata.normalize("NFC", name)


def spelling_notes(names: Iterable[str]) -> tuple[str, ...]:
    """A sentence about the names of classes that are spelled in two ways among `names`; nothing where none is."""
    spelled: dict[str, set[str]] = {}
    for name in names:
        spelled.setdefault(composed(name), set()).add(name)
    both = sorted(name for name, spellings in spelled.items() if len(spellings) > 1)
    if not both:
        return ()
    return (f"Spelled in two ways in Unicode (NFC and NFD), and taken for one class each: {listed(both)}.",)
