"""Which split a folder or file belongs to by its name: the keywords and delimiters of Hugging Face's hub.

A name belongs to a split when one of the split's keywords is a whole word in it; words end at anything that is not a
letter (`train-00000-of-00004`, `my_val_pictures`, `test2`; not `trainset`). Upper case does not matter. Reference:
"File names and splits", Hugging Face Hub documentation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from dpk_core.errors import DataFault

KEYWORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}

EXPECTED = "; ".join(f"{split}: {', '.join(words)}" for split, words in KEYWORDS.items())
"""The keywords for a sentence."""

_WORD = re.compile(r"[^\W\d_]+")
_SPLIT = {word: split for split, words in KEYWORDS.items() for word in words}


def split_words(name: str) -> dict[str, str]:
    """The keywords that are words of a name, with the splits that they mean."""
    return {word: _SPLIT[word] for word in _WORD.findall(name.lower()) if word in _SPLIT}


def by_split(where: str, names: Iterable[str]) -> dict[str, list[str]]:
    """Names by their splits, in the order of splits; names without a keyword are left out.

    Raises DataFault for a name of two splits, and where a split is spelled in two ways (`val` and `dev`): whether
    they belong together cannot be known.
    """
    found: dict[str, list[str]] = {split: [] for split in KEYWORDS}
    spelled: dict[str, dict[str, str]] = {split: {} for split in KEYWORDS}
    for name in names:
        words = split_words(name)
        splits = sorted(set(words.values()))
        if len(splits) > 1:
            raise DataFault(f"{where}/{name} names two splits, {splits[0]} and {splits[1]}; rename it.")
        for split in splits:
            found[split].append(name)
            spelled[split].setdefault(next(iter(words)), name)
    for split, examples in spelled.items():
        if len(examples) > 1:
            one, other, *_ = examples.values()
            raise DataFault(f"{where} has {one} and {other}, which both mean {split}; keep one of them.")
    return {split: members for split, members in found.items() if members}
