"""What is wrong with the annotations of a data set: counted by kind, each with a picture, an annotation and an example.

`kinds` says what each kind means for those who train.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from dpk_core.catalogue.detection.kinds import KINDS
from dpk_core.display import shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """`count` of the split's `of` annotations, pictures or categories have a fault of this kind.

    `split`: as on disk; empty where the fault concerns all. `picture`, `annotation`, `example`: of the first one, as
    text that can be shown; empty where there is none.
    """

    kind: str
    split: str
    count: int
    of: int
    picture: str = ""
    annotation: str = ""
    example: str = ""


@dataclass(slots=True)
class FaultLog:
    """Faults of one split, filled while it is read."""

    split: str
    _counts: Counter[str] = field(default_factory=Counter)
    _first: dict[str, tuple[str, str, str]] = field(default_factory=dict)

    def add(self, kind: str, picture: str = "", annotation: object = "", example: object = "", count: int = 1) -> None:
        """Counts faults; the first of a kind is its example."""
        self._counts[kind] += count
        if kind not in self._first:
            self._first[kind] = (shown(picture), shown(str(annotation)), shown(str(example))[:200])

    def count(self, kind: str) -> int:
        """Faults of this kind so far."""
        return self._counts[kind]

    def faults(self, totals: Mapping[str, int]) -> tuple[Fault, ...]:
        """All faults. `totals`: how many there are of each unit."""
        return tuple(
            Fault(
                kind=kind, split=self.split, count=count, of=totals[KINDS[kind].unit], picture=picture,
                annotation=annotation, example=example,
            )
            for kind, count in self._counts.items()
            for picture, annotation, example in (self._first[kind],)
        )  # fmt: skip
