"""What the facts of a data set mean for those who train on it: sentences, warnings and refusals, by stated limits."""

from __future__ import annotations

from collections.abc import Iterator

from dpk_core.catalogue.copies import Copies
from dpk_core.catalogue.dataset_check import DatasetCheck
from dpk_core.catalogue.finding import Finding, Level
from dpk_core.catalogue.left_out import NO_LABEL, LeftOutKind
from dpk_core.catalogue.reading import DECLARATION
from dpk_core.catalogue.survey import FAR_LARGER, HeaderSummary
from dpk_core.display import listed

SOME_COPIES = 0.01
"""Part of a split that are copies of pictures before it, from which it is a warning."""
MOST_COPIES = 0.5
"""Part of the validation pictures beyond which it is a refusal."""

HIGH_BASE_RATE = 0.8
"""Accuracy of always naming the most frequent class, from which it is a warning."""
HIGHEST_BASE_RATE = 0.99
"""Beyond it it is a refusal: what still differs between teachers is noise."""

MOST_WITHOUT_VALIDATION = 0.5
"""Part of the classes without a validation picture beyond which it is a refusal."""

FEW_PICTURES = 5
"""Training pictures below which a class is named."""

SOME_CUT = 0.05
"""Part of the pictures that are oblong and cut to their middle, from which it is a warning."""

MOST_KINDS = 5
"""Kinds of files left out that have a sentence each."""


def findings(check: DatasetCheck) -> tuple[Finding, ...]:
    """What there is to know, the worst first."""
    found = [
        *_copies(check), *_frequencies(check), *_validation(check), *_small_classes(check), *_left_out(check),
        *_shapes(check), *_pictures(check),
    ]  # fmt: skip
    found += [Finding(code="note", level="info", message=note) for note in check.notes]
    return tuple(sorted(found, key=lambda each: ("refusal", "warning", "info").index(each.level)))


def _copies(check: DatasetCheck) -> Iterator[Finding]:
    found = check.copies
    if found is None:
        if check.survey is not None and check.survey.pictures < check.train:
            message = "Copies of pictures were not looked for: the data is too large for that."
            yield Finding(code="copies", level="info", message=message)
        return
    if found.validation:
        yield _validation_copies(check, found)
    if found.test:
        part = found.test / found.test_pictures
        message = (
            f"{found.test} of {found.test_pictures} test pictures ({part:.1%}) are copies of training or validation "
            f"pictures{'' if found.validation else _example(found)}, so test accuracy is too high."
        )
        yield Finding(code="test_copies", level=_level(part), message=message)
    if found.two_classes:
        part = found.two_classes / (check.train + check.validation + check.test)
        message = f"{found.two_classes} pictures ({part:.1%}) lie under two classes with the same content."
        yield Finding(code="two_classes", level=_level(part), message=message)
    if found.train:
        message = f"{found.train} training pictures are there more than once."
        yield Finding(code="train_copies", level="info", message=message)


def _validation_copies(check: DatasetCheck, found: Copies) -> Finding:
    part = found.validation / found.validation_pictures
    said = (
        f"{found.validation} of {found.validation_pictures} validation pictures ({part:.1%}) are copies of training "
        f"pictures{_example(found)}"
    )
    if part > MOST_COPIES:
        where = "the training pictures" if "validation" in check.held_out else "one of the two splits"
        message = (
            f"{said}. Beyond {MOST_COPIES:.0%} no accuracy on them means anything; remove the copies from {where}."
        )
        return Finding(code="validation_copies", level="refusal", message=message)
    message = f"{said}, so accuracies are too high and favour networks that memorise."
    level = _level(part)
    return Finding(code="validation_copies", level=level, message=message, caution=level == "warning")


def _example(found: Copies) -> str:
    return f", e.g. {found.example[0]} of {found.example[1]}" if found.example else ""


def _level(part: float) -> Level:
    return "warning" if part >= SOME_COPIES else "info"


def _frequencies(check: DatasetCheck) -> Iterator[Finding]:
    rate, name = check.base_rate, check.most_frequent.name
    said = f"Always naming the most frequent class, {name}, is right on {rate:.1%} of the validation pictures"
    if rate > HIGHEST_BASE_RATE:
        message = (
            f"{said}. Beyond {HIGHEST_BASE_RATE:.0%} accuracies hardly differ between teachers; balance the classes in "
            "validation."
        )
        yield Finding(code="imbalance", level="refusal", message=message)
    elif rate >= HIGH_BASE_RATE:
        message = f"{said}: read every accuracy against that."
        yield Finding(code="imbalance", level="warning", message=message, caution=True)


def _validation(check: DatasetCheck) -> Iterator[Finding]:
    missing = check.without_validation
    if not missing:
        return
    names = listed([each.name for each in missing], 3)
    if len(missing) > MOST_WITHOUT_VALIDATION * len(check.classes):
        message = (
            f"{len(missing)} of {len(check.classes)} classes have no validation picture ({names}). Beyond "
            f"{MOST_WITHOUT_VALIDATION:.0%} accuracies say too little; add validation pictures of them."
        )
        yield Finding(code="no_validation", level="refusal", message=message)
        return
    one = len(missing) == 1
    who = f"The class {names} has" if one else f"{len(missing)} classes ({names}) have"
    message = f"{who} no validation picture, so no accuracy says anything about {'it' if one else 'them'}."
    yield Finding(code="no_validation", level="warning", message=message, caution=True)


def _small_classes(check: DatasetCheck) -> Iterator[Finding]:
    small = check.smallest
    if small.train < FEW_PICTURES:
        message = (
            f"The smallest class, {small.name}, has {small.train} training picture{'s' * (small.train != 1)}; "
            f"{sum(each.train < FEW_PICTURES for each in check.classes)} of {len(check.classes)} classes have fewer "
            f"than {FEW_PICTURES}."
        )
        yield Finding(code="small_class", level="warning", message=message)


def _left_out(check: DatasetCheck) -> Iterator[Finding]:
    for kind in check.left_out[:MOST_KINDS]:
        yield Finding(code="left_out", level=_loss_level(kind), message=kind.sentence)
    if rest := check.left_out[MOST_KINDS:]:
        count, kinds = sum(kind.count for kind in rest), listed([kind.what or "no ending" for kind in rest], len(rest))
        level: Level = "warning" if any(_loss_level(kind) == "warning" for kind in rest) else "info"
        message = f"Left out: {count} file{'s' * (count != 1)} of other kinds ({kinds})."
        yield Finding(code="left_out", level=level, message=message)


def _loss_level(kind: LeftOutKind) -> Level:
    return "info" if kind.is_clutter or kind.what == NO_LABEL else "warning"


def _shapes(check: DatasetCheck) -> Iterator[Finding]:
    seen = check.survey
    if seen is None or not seen.oblong:
        return
    said = f"{_of(seen.oblong, seen)} longer than 4:3, up to {seen.most_oblong:.3g}:1"
    if check.fit == "whole":
        message = f"{said}. All of each is read: stretched by at most 4/3, in the middle of a black square."
        yield Finding(code="oblong", level="info", message=message)
        return
    message = (
        f"{said}, and cut to the middle: up to {1 - 1 / seen.most_oblong:.0%} of one is lost. "
        f'{{"fit": "whole"}} in {DECLARATION} reads all of each.'
    )
    level: Level = "warning" if seen.oblong >= SOME_CUT * seen.pictures else "info"
    yield Finding(code="oblong", level=level, message=message)


def _pictures(check: DatasetCheck) -> Iterator[Finding]:
    seen = check.survey
    if seen is None:
        return
    messages = {
        "turned": (seen.turned, f"{_of(seen.turned, seen)} turned by an EXIF mark and read upright."),
        "transparent": (
            seen.transparent,
            f"{_of(seen.transparent, seen, 'has', 'have')} transparency, which is read as {check.background}.",
        ),
        "far_larger": (
            seen.far_larger,
            f"{_of(seen.far_larger, seen)} more than {FAR_LARGER} times as long as nearly all others, e.g. "
            f"{seen.largest_name} with {_size(seen.largest)}; the others set the working size, {check.side} px.",
        ),
        "deep": (seen.deep, "Of grey pictures with 16 bits the upper 8 bits are read."),
        "grey": (
            seen.grey if check.channels == 3 else 0, f"{_of(seen.grey, seen)} grey and read as coloured ones."
        ),
    }  # fmt: skip
    for code, (count, message) in messages.items():
        if count:
            yield Finding(code=code, level="info", message=message)
    if seen.pictures < check.train:
        message = f"Sizes and kinds of pictures are those of {seen.pictures} that were looked at."
        yield Finding(code="sampled", level="info", message=message)


def _of(count: int, seen: HeaderSummary, one: str = "is", several: str = "are") -> str:
    return f"{count} of {seen.pictures} pictures {one if count == 1 else several}"


def _size(size: tuple[int, ...]) -> str:
    return f"{size[0]} x {size[1]} px"
