"""What is found of a data set, as jobs, pages and clients read it. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["info", "warning", "refusal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing to know. `refusal`: no job trains on this. `caution`: a verdict must say it too."""

    code: str
    level: Level
    message: str
    caution: bool = False
