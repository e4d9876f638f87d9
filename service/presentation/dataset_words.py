"""Words for the facts of a data set, for page and command alike. Knows the wire schemas only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from service.datasets.schemas import Boxes, ClassPictures, Copies, Dataset, Survey
from service.presentation.numbers import listed, percent

Counted = TypeVar("Counted", bound=ClassPictures | Boxes)
MOST_CLASSES = 40
"""Classes that a table shows; of more, the smallest and the largest ones by training pictures or boxes."""

LEVELS = {"refusal": "Refused", "warning": "Warning", "info": "Note"}


def headline(found: Dataset) -> str:
    """What it is in a sentence."""
    refused = " No job trains on it." if found.refused else ""
    return (
        f"{found.name}: {found.train_pictures:,} training, {found.validation_pictures:,} validation and "
        f"{found.test_pictures:,} test pictures of {len(found.classes)} classes.{refused}"
    )


def facts(found: Dataset) -> list[tuple[str, str]]:
    """What is known besides findings and classes, each with its name."""
    channels = f"{found.channels} channel{'' if found.channels == 1 else 's'}"
    held_out = (
        f"{listed(found.held_out)} held out of the training pictures, alike for every job"
        if found.held_out
        else "all three are on disk"
    )
    lines = [
        ("Splits", held_out),
        ("Always naming the most frequent class", f"{percent(found.base_rate)} of validation ({found.most_frequent})"),
        ("Smallest class", f"{found.smallest}, {_of(found, found.smallest).train} training pictures"),
        ("As networks see them", f"{found.side} x {found.side} px, {channels}; {_fit(found)}"),
    ]
    if found.survey is not None:
        lines += _survey(found.survey)
    lines.append(("Copies", "not looked for" if found.copies is None else _copies(found.copies)))
    left_out = [f"{each.count} {_what(each.what)}" for each in found.left_out]
    lines.append(("Left out", listed(left_out) if left_out else "nothing"))
    lines.append(("Recipe if none is named", found.default_recipe))
    lines.append(("Fingerprint", found.fingerprint))
    return lines


def shown_classes(classes: Sequence[Counted]) -> tuple[list[Counted], int]:
    """The classes that a table shows, and how many it leaves out."""
    if len(classes) <= MOST_CLASSES:
        return list(classes), 0
    by_size = sorted(classes, key=lambda each: each.train)
    half = MOST_CLASSES // 2
    return [*by_size[-half:][::-1], *by_size[:half][::-1]], len(classes) - 2 * half


def _survey(seen: Survey) -> Iterator[tuple[str, str]]:
    usual = f"{_size(seen.usual_size)} ({seen.usual:,} of {seen.pictures:,} that were looked at)"
    extremes = "" if seen.smallest == seen.largest else f"; from {_size(seen.smallest)} to {_size(seen.largest)}"
    yield "Sizes", f"{usual}{extremes}"
    yield (
        "Kinds",
        f"{seen.turned:,} turned by EXIF, {seen.oblong:,} longer than 4:3, {seen.transparent:,} with transparency, "
        f"{seen.grey:,} grey",
    )


def _copies(found: Copies) -> str:
    said = (
        f"{found.validation:,} of {found.validation_pictures:,} validation and {found.test:,} of "
        f"{found.test_pictures:,} test pictures are copies"
    )
    more = [] if found.train is None else [f"{found.train:,} training pictures are there more than once"]
    if found.two_classes is not None:
        more.append(f"{found.two_classes:,} lie under two classes")
    return "; ".join([said, *more])


def _fit(found: Dataset) -> str:
    fit = "the whole picture" if found.fit == "whole" else "the middle of the picture"
    return f"{fit}, transparent parts as {found.background}"


def _what(what: str) -> str:
    return {"": "without an ending"}.get(what, what)


def _of(found: Dataset, name: str) -> ClassPictures:
    return next(each for each in found.classes if each.name == name)


def _size(size: list[int]) -> str:
    return f"{size[0]} x {size[1]} px"
