"""The answer to `GET /calibration`."""

from __future__ import annotations

from pydantic import Field

from service.schemas import Wire
from service.wire.boards import Interval


class ReliabilityBin(Wire):
    """Teachers whose stated chance of being best lay in `low` … `high`: their mean chance and the part that won."""

    low: float
    high: float
    count: int
    stated: float
    won: Interval


class Calibration(Wire):
    """How often what was said before the first full training came true."""

    confidence: float = Field(description="Of the stated sets.")
    most_jobs: int = Field(description="Finished jobs looked back at, at most: the newest ones.")
    jobs: int = Field(description="Those of them that stated chances, each question once.")
    claims: int = Field(description="Those of `jobs` whose truth is known well enough to judge them.")
    exhaustive: int = Field(description="Those of the claims in which every teacher was trained fully.")
    held: Interval | None = Field(description="How often the stated set held the winner; None below 5 claims.")
    size: float | None = Field(description="Teachers in a stated set, on average.")
    bins: list[ReliabilityBin]
    sentence: str
