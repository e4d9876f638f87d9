"""The facts of a data set that people should know before they train on it: JSON-able, computed once per state of its
files, and the same for page, command and pre-flight. What they mean is said in `findings`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dpk_core.catalogue.copies import Copies
from dpk_core.catalogue.left_out import LeftOutKind
from dpk_core.catalogue.reading import Background, Fit
from dpk_core.catalogue.splitting import Parts
from dpk_core.catalogue.survey import HeaderSummary
from dpk_core.display import shown

CHECK_VERSION = 1
"""Raise it when a fact changes its meaning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassPictures:
    """Pictures of one class in each split."""

    name: str
    train: int
    validation: int
    test: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetCheck:
    """A data set as it lies on disk and as networks see it: `channels` x `side` x `side`.

    `held_out`: splits that are not on disk and come out of the training pictures. `notes`: sentences about how labels
    and layout were read where that is not obvious. `survey`: of `survey.pictures` headers, all or a sample; None where
    nothing is known of single pictures. `copies`: None where none were looked for.
    """

    version: int = CHECK_VERSION
    name: str
    fingerprint: str
    default_recipe: str
    channels: int
    side: int
    fit: Fit = "whole"
    background: Background = "white"
    classes: tuple[ClassPictures, ...]
    held_out: tuple[str, ...]
    left_out: tuple[LeftOutKind, ...] = ()
    notes: tuple[str, ...] = ()
    survey: HeaderSummary | None
    copies: Copies | None

    @property
    def train(self) -> int:
        """Training pictures."""
        return sum(each.train for each in self.classes)

    @property
    def validation(self) -> int:
        """Validation pictures."""
        return sum(each.validation for each in self.classes)

    @property
    def test(self) -> int:
        """Test pictures."""
        return sum(each.test for each in self.classes)

    @property
    def most_frequent(self) -> ClassPictures:
        """The class with the most validation pictures; of several the first."""
        return max(self.classes, key=lambda each: each.validation)

    @property
    def base_rate(self) -> float:
        """Accuracy on validation pictures of always naming the most frequent class."""
        return self.most_frequent.validation / self.validation

    @property
    def smallest(self) -> ClassPictures:
        """The class with the fewest training pictures; of several the first."""
        return min(self.classes, key=lambda each: each.train)

    @property
    def without_validation(self) -> tuple[ClassPictures, ...]:
        """Classes that no validation picture shows."""
        return tuple(each for each in self.classes if not each.validation)


def class_pictures(
    names: Sequence[str], labels: Mapping[str, NDArray[np.int64]], parts: Parts
) -> tuple[ClassPictures, ...]:
    """Pictures by class, of the splits that were made."""
    counted = (
        np.bincount(labels[part.origin][part.positions], minlength=len(names)).tolist()
        for part in (parts.train, parts.validation, parts.test)
    )
    return tuple(
        ClassPictures(name=shown(name), train=train, validation=validation, test=test)
        for name, train, validation, test in zip(names, *counted, strict=True)
    )
