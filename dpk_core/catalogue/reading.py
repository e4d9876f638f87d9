"""What a data set's pictures are made into, and what its owner declares about that in `dataset.json`.

The pixels are made in `pixels`, which needs Pillow; this does not.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dpk_core.codec import WrongValue, from_json
from dpk_core.errors import DataFault

READING_VERSION = 3
"""Part of the fingerprint of picture files. Raise it when a change decodes, resizes, crops or labels them otherwise."""

Fit = Literal["whole", "middle"]
Background = Literal["white", "grey", "black"]

DECLARATION = "dataset.json"

SIDES = range(8, 1025)

EXAMPLE = '{"side": 64, "fit": "middle", "background": "black"}'


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingRule:
    """Pictures become `channels` x `side` x `side`; `pixels` says what `fit` and `background` mean."""

    channels: int
    side: int
    fit: Fit = "whole"
    background: Background = "white"

    @property
    def mode(self) -> str:
        """Pillow's mode of the pixels."""
        return "L" if self.channels == 1 else "RGB"

    @property
    def identity(self) -> str:
        """Its part of a fingerprint; the channels follow from the files."""
        return f"reading-{READING_VERSION}/side-{self.side}/{self.fit}/{self.background}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """How the pictures are to be read; None: as the data set's own rule says. `license`: a text for model cards."""

    side: int | None = None
    fit: Fit | None = None
    background: Background | None = None
    license: str | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for a side that no network takes."""
        if self.side is not None and self.side not in SIDES:
            raise ValueError(f"side must be {SIDES[0]} … {SIDES[-1]} pixels")


def read_declaration(folder: Path) -> Declaration:
    """What `dataset.json` says. Raises DataFault naming the file and what is wrong in it."""
    path = folder / DECLARATION
    if not path.is_file():
        return Declaration()
    where = f"{folder.name}/{DECLARATION}"
    try:
        given = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise DataFault(f"{where} cannot be read as JSON.") from error
    try:
        return from_json(Declaration, given)
    except WrongValue as error:
        raise DataFault(f"{where}: {error.message}. It may say how pictures are read, like {EXAMPLE}.") from error
