"""Whether a set of tensors is a model's, and which classes and pictures it was made for. No torch: names and shapes.

Pre-flight asks this of a file's header, the runner of what it loads, so both say the same.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from dpk_core.catalogue.parameters import (
    LISTED_CHANNELS,
    Parameter,
    Parameters,
    WeightsCard,
    model_parameters,
    weights_card,
)
from dpk_core.catalogue.pytorch_files import WRAPPERS
from dpk_core.catalogue.tensors import shown
from dpk_core.errors import InvalidRequest

COUNTER = "num_batches_tracked"
"""End of the names of batch normalisation's counters, which older files lack. torch takes such files too."""

SOME_NAMES = 8
"""Names, and prefixes, that are looked at before all of them are compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeFor:
    """What weights were made for. `channels`, `side`: None where they do not matter or are not known.

    `prefix`: what stands before each of their names and is to be left out. `refits`: whether all that follows the side
    are tables of one position a token, which can be resampled for another side.
    """

    classes: int
    channels: int | None = None
    side: int | None = None
    prefix: str = ""
    refits: bool = False


def made_for(model: str, tensors: Parameters, source: str, field: str) -> MadeFor:
    """What the weights `source`, with these tensors, were made for.

    Raises InvalidRequest on `field` where they are not those of the known `model`: the first name that is missing and
    the first that is too many, or the first shape that differs, is named.
    """
    card, expected = weights_card(model, field), model_parameters(model)
    prefix = prefix_of(tensors, expected)
    tensors, found = without_prefix(tensors, prefix)
    try:
        check_names(tensors, found, expected, prefix)
        made = MadeFor(
            classes=_classes(found, card), channels=_channels(found, expected, card), side=_side(found, card),
            prefix=prefix, refits=is_refitted(card),
        )  # fmt: skip
        for name, each in expected.items():
            if name in found:
                _check_shape(name, found[name], each, card, made)
    except ValueError as reason:
        raise InvalidRequest(field, f"The weights {source} do not fit {model}: {reason}.") from None
    return made


def is_refitted(card: WeightsCard) -> bool:
    """Whether weights of the model can be refitted to pictures of another side."""
    tables = card.positions.values()
    return bool(tables) and {*card.sided} == {*card.positions} and all((t.axis, t.power) == (1, 2) for t in tables)


def check_pictures(made: MadeFor, side: int | None, channels: int, source: str, field: str) -> None:
    """Raises InvalidRequest on `field` where the weights `source` were made for pictures of another kind.

    Grey pictures are taken by weights for coloured ones: their first convolution is summed over its channels, which
    gives what three equal channels would.
    """
    if None not in (made.side, side) and made.side != side and not made.refits:
        message = f"The weights {source} were made for pictures of {made.side}x{made.side}; these are {side}x{side}"
        reason = (
            f"what follows the size in this model cannot be refitted. A teacher's are resized with size={made.side}."
        )
        raise InvalidRequest(field, f"{message}, and {reason}")
    if made.channels not in (None, channels) and (made.channels, channels) != (LISTED_CHANNELS, 1):
        message = f"The first convolution of the weights {source} takes pictures of {_in_words(made.channels)}"
        raise InvalidRequest(field, f"{message}; these have {channels}.")


def prefix_of(tensors: Collection[str], expected: Parameters) -> str:
    """What a wrapper put before the names (`module.`), whatever it is; an empty text where they are the model's own.

    That without which most of the model's names are there, judged by a few of them first. Of a checkpoint's entries
    (`pytorch_files.WRAPPERS`, set off by `/`) that hold the model alike, the first.
    """
    some = [name for name in expected if not name.endswith(COUNTER)][:SOME_NAMES]
    ends = Counter(name.removesuffix(end) for name in tensors for end in some if name.endswith(end))
    common = [prefix for prefix, _ in ends.most_common(SOME_NAMES) if not prefix or prefix.endswith((".", "/"))]
    likely = {prefix: sum(prefix + name in tensors for name in expected) for prefix in sorted(common, key=_rank)}
    best = max(likely, key=likely.__getitem__, default="")
    return best if likely.get(best, 0) > len(expected) // 2 else ""


def without_prefix(tensors: Parameters, prefix: str) -> tuple[Parameters, Parameters]:
    """The tensors of the checkpoint's entry that the prefix names, all of them where it names none; and those of them
    whose names begin with the prefix, without it."""
    wrapper, slash, _ = prefix.partition("/")
    tensors = {name: each for name, each in tensors.items() if name.startswith(wrapper + slash)} if slash else tensors
    return tensors, {name.removeprefix(prefix): each for name, each in tensors.items() if name.startswith(prefix)}


def _rank(prefix: str) -> int:
    wrapper, slash, _ = prefix.partition("/")
    return WRAPPERS.index(wrapper) if slash and wrapper in WRAPPERS else -1


def check_names(tensors: Parameters, found: Parameters, expected: Parameters, prefix: str) -> None:
    """Raises ValueError with the first name that is missing and the first that is too many."""
    missing = [name for name in expected if name not in found and not name.endswith(COUNTER)]
    surplus = [name for name in tensors if not name.startswith(prefix) or name.removeprefix(prefix) not in expected]
    surplus.sort(key=lambda name: (name.endswith(COUNTER), name))  # files have them in the order of their bytes
    if missing or surplus:
        begin = f"their names begin with {shown(prefix)}; without it " if prefix else ""
        lack = f"they lack {_first_of(missing)}" if missing else ""
        hold = f"they hold {_first_of(surplus)}, which it does not have" if surplus else ""
        raise ValueError(begin + " and ".join(part for part in (lack, hold) if part))


def _first_of(names: list[str]) -> str:
    return shown(names[0]) + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def _classes(found: Parameters, card: WeightsCard) -> int:
    """The size of the head; 0 where the model has none."""
    return next((found[name].shape[0] for name in card.head if found[name].shape), 0)


def _channels(found: Parameters, expected: Parameters, card: WeightsCard) -> int | None:
    for name in card.first:
        ours, theirs = expected[name].shape, found[name].shape
        if len(ours) == len(theirs) and theirs[1] * LISTED_CHANNELS % ours[1] == 0:
            return theirs[1] * LISTED_CHANNELS // ours[1]
    return None


def _side(found: Parameters, card: WeightsCard) -> int | None:
    for name, table in card.positions.items():
        shape = found[name].shape
        if table.axis < len(shape) and (entries := shape[table.axis] - table.extra) > 0:
            steps = math.isqrt(entries) if table.power == 2 else entries
            if steps**table.power == entries:
                return steps * table.stride
    return None


def _check_shape(name: str, found: Parameter, expected: Parameter, card: WeightsCard, made: MadeFor) -> None:
    wanted = expected.shape
    if name in card.head:
        wanted = (made.classes, *wanted[1:])
    elif name in card.first and made.channels is not None:
        wanted = (wanted[0], wanted[1] * made.channels // LISTED_CHANNELS, *wanted[2:])
    if found.shape != wanted and name not in card.sided:
        raise ValueError(f"{shown(name)} has the shape {found.shape}, and the model's has {wanted}")
    if expected.floating and not found.floating:
        raise ValueError(f"the numbers of {shown(name)} are not of the type float16, bfloat16, float32 or float64")


def _in_words(channels: int | None) -> str:
    return f"{channels} channel{'' if channels == 1 else 's'}"
