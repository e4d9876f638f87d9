"""A split as its files give it, before boxes are judged: pictures, categories, annotations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dpk_core.catalogue.detection.faults import FaultLog


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """`parent`: name of the category that it is grouped under; empty for none."""

    id: int
    name: str
    parent: str = ""


@dataclass(slots=True, kw_only=True, eq=False)
class RawSplit:
    """Pictures (N) and annotations (M) of a split on disk. `faults`: what was wrong so far.

    `names`: paths from the data set's folder. `sizes_N2`: height and width, 0 where unknown. `boxes_M4`: left, top,
    width, height in pixels, all finite. `categories_M`: position in `categories`. `areas_M`: NaN where there is none.
    """

    faults: FaultLog
    listed: int
    names: list[str]
    picture_ids: Sequence[int | str]
    sizes_N2: NDArray[np.float64]
    annotations: int
    ids: list[str]
    pictures_M: NDArray[np.int64]
    boxes_M4: NDArray[np.float64]
    categories_M: NDArray[np.int64]
    crowd_M: NDArray[np.bool_]
    areas_M: NDArray[np.float64]
    categories: tuple[Category, ...] = ()

    @property
    def has_size_N(self) -> NDArray[np.bool_]:
        """Pictures whose size is known, so that they can be read."""
        has_size_N: NDArray[np.bool_] = (self.sizes_N2[:, 0] > 0) & (self.sizes_N2[:, 1] > 0)
        return has_size_N

    @property
    def split(self) -> str:
        """Name of the split."""
        return self.faults.split

    def keep(self, which_M: NDArray[np.bool_]) -> None:
        """Drops all other annotations."""
        self.ids = [each for each, kept in zip(self.ids, which_M.tolist(), strict=True) if kept]
        self.pictures_M, self.boxes_M4 = self.pictures_M[which_M], self.boxes_M4[which_M]
        self.categories_M, self.crowd_M = self.categories_M[which_M], self.crowd_M[which_M]
        self.areas_M = self.areas_M[which_M]

    def log(self, kind: str, wrong_M: NDArray[np.bool_]) -> None:
        """Counts the annotations that have this fault."""
        if not wrong_M.any():
            return
        first = int(wrong_M.argmax())
        picture = int(self.pictures_M[first])
        box = ", ".join(f"{number:g}" for number in self.boxes_M4[first])
        height, width = self.sizes_N2[picture]
        example = f"[{box}] in {width:g} x {height:g} px"
        self.faults.add(kind, self.names[picture], self.ids[first], example, int(wrong_M.sum()))

    def log_pictures(self, kind: str, wrong_N: NDArray[np.bool_], example: str = "") -> None:
        """Counts the pictures that have this fault."""
        if wrong_N.any():
            first = int(wrong_N.argmax())
            self.faults.add(kind, self.names[first], "", example, int(wrong_N.sum()))


@dataclass(slots=True)
class Annotations:
    """Grows while a split's annotations are read one by one."""

    ids: list[str] = field(default_factory=list)
    pictures: list[int] = field(default_factory=list)
    boxes: list[tuple[float, ...]] = field(default_factory=list)
    categories: list[int] = field(default_factory=list)
    crowd: list[bool] = field(default_factory=list)
    areas: list[float] = field(default_factory=list)

    def add(
        self, *, id: str, picture: int, box: tuple[float, ...], category: int, crowd: bool = False,  # noqa: A002 - COCO's word
        area: float = float("nan"),
    ) -> None:  # fmt: skip
        """One annotation whose box is four finite numbers."""
        self.ids.append(id)
        self.pictures.append(picture)
        self.boxes.append(box)
        self.categories.append(category)
        self.crowd.append(crowd)
        self.areas.append(area)

    def split(
        self, faults: FaultLog, names: list[str], picture_ids: Sequence[int | str], sizes: list[tuple[float, float]],
        categories: tuple[Category, ...], *, listed: int, annotations: int,
    ) -> RawSplit:  # fmt: skip
        """The split as arrays. `listed`, `annotations`: how many pictures and annotations the files hold."""
        return RawSplit(
            faults=faults, listed=listed, names=names, picture_ids=picture_ids,
            sizes_N2=np.array(sizes, np.float64).reshape(-1, 2), annotations=annotations, ids=self.ids,
            pictures_M=np.array(self.pictures, np.int64), boxes_M4=np.array(self.boxes, np.float64).reshape(-1, 4),
            categories_M=np.array(self.categories, np.int64), crowd_M=np.array(self.crowd, np.bool_),
            areas_M=np.array(self.areas, np.float64), categories=categories,
        )  # fmt: skip
