"""Model cards: what can be known of a model without building it.

CIFAR ResNets follow closed forms; timm's and torchvision's classifiers come from `library_models.json`, which
`python -m dpk_core.models.inventory` writes from the installed libraries.
"""

from __future__ import annotations

import difflib
import functools
import json
import math
import re
from dataclasses import dataclass
from importlib import resources

from dpk_core.errors import InvalidRequest

CIFAR_RESNETS = (
    "resnet8w4", "resnet8w8", "resnet14w8", "resnet20w8",
    "resnet8", "resnet14", "resnet20", "resnet32", "resnet44", "resnet56", "resnet110", "resnet8x4", "resnet32x4",
)  # fmt: skip
"""`resnet<depth>`: widths 16/32/64; `…w<n>`: widths n/2n/4n; `…x4`: widths 64/128/256 behind a stem of 32."""

LEAST_TOKENS = 4
"""A feature map with fewer positions leaves nothing to share between teacher and student."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tap:
    """A feature map. `module`: dotted name of the module that gives it; `stride`: picture size / map size."""

    module: str
    channels: int
    stride: int

    def side(self, picture_side: int) -> int:
        """Side of the map for a square picture of `picture_side`."""
        return math.ceil(picture_side / self.stride)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """A model by name. `taps` from shallow to deep, one per resolution; `obstacle`: why there are none, else None."""

    name: str
    taps: tuple[Tap, ...]
    obstacle: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CifarShape:
    """The closed form of a CIFAR ResNet: `blocks` basic blocks in each of three stages."""

    blocks: int
    stem: int
    widths: tuple[int, int, int]


def cifar_shape(family_member: str) -> CifarShape:
    """Depth and widths of a CIFAR ResNet named without its family, e.g. `resnet20` or `resnet8x4`."""
    match = re.fullmatch(r"resnet(\d+)(?:(x4)|w(\d+))?", family_member)
    assert match is not None, family_member
    depth, wide, width = int(match[1]), match[2], int(match[3] or 16)
    base = 64 if wide else width
    return CifarShape(blocks=(depth - 2) // 6, stem=32 if wide else width, widths=(base, 2 * base, 4 * base))


def model_names() -> tuple[str, ...]:
    """Every known `family/name`, sorted."""
    return tuple(sorted(_cards()))


def model_card(name: str, field: str) -> ModelCard:
    """The card of `name`. Raises InvalidRequest on `field` with the nearest name when there is none."""
    try:
        return _cards()[name]
    except KeyError:
        raise InvalidRequest(field, f"There is no model {name!r}.", _nearest(name)) from None


def common_taps(student: ModelCard, teacher: ModelCard, picture_side: int, field: str) -> None:
    """Checks that both have two maps of at least 2x2 positions at this picture size: the ones DPK stitches.

    Raises InvalidRequest on `field` (the teacher's) or on `student`, whichever lacks them.
    """
    for card, place in ((student, "student"), (teacher, field)):
        if card.obstacle is not None:
            raise InvalidRequest(place, f"{card.name} has no feature maps to tap: {card.obstacle}.", "cifar/resnet20")
        if len(card.taps) < 2:
            raise InvalidRequest(place, f"{card.name} has fewer than two feature maps to tap.", "cifar/resnet20")
        side = card.taps[-1].side(picture_side)
        if side * side < LEAST_TOKENS:
            raise InvalidRequest(
                place,
                f"No common tap: on {picture_side}x{picture_side} pictures the last feature map of {card.name} is "
                f"{side}x{side}, and DPK needs at least 2x2.",
                "cifar/resnet20",
            )


def _nearest(name: str) -> str:
    """The same model in another family (`resnet20` → `cifar/resnet20`), else the name most like it."""
    member = name.rpartition("/")[2]
    same = (known for known in model_names() if known.rpartition("/")[2] == member)
    return next(same, None) or difflib.get_close_matches(name, model_names(), n=1, cutoff=0.0)[0]


@functools.cache
def _cards() -> dict[str, ModelCard]:
    cards = {f"cifar/{name}": _cifar_card(name) for name in CIFAR_RESNETS}
    text = resources.files(__package__).joinpath("library_models.json").read_text()
    for name, entry in json.loads(text)["models"].items():
        taps = tuple(Tap(module=module, channels=channels, stride=stride) for module, channels, stride in entry["taps"])
        cards[name] = ModelCard(name=name, taps=taps, obstacle=entry.get("obstacle"))
    return cards


def _cifar_card(family_member: str) -> ModelCard:
    widths = cifar_shape(family_member).widths
    taps = tuple(Tap(module=f"stages.{index}", channels=width, stride=2**index) for index, width in enumerate(widths))
    return ModelCard(name=f"cifar/{family_member}", taps=taps)
