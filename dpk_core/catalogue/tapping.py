"""Which feature maps a method taps in student and teacher, known from their cards before anything is built.

The torch half (`dpk_core.distill.inputs`) chooses by the same `usable` from the maps that it really sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from dpk_core.catalogue.models import ModelCard, Tap, plain_choice, takes_pictures
from dpk_core.dpk_settings import CIFAR_DPK, StageName
from dpk_core.errors import InvalidRequest
from dpk_core.spec import DPK_METHODS, LOGIT_METHODS, MethodSpec

STAGES: tuple[StageName, ...] = get_args(StageName)
"""The stages in the order of the authors' tables: from the deeper to the shallower."""

LEAST_SIDE = 2
"""A map of one position has nothing to stitch, and no attention to compare."""

USUAL_SIDES = (8, 16, 28, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 384, 448, 512)
"""Picture sides that a refusal may recommend."""

COUNTS = ("none", "one", "two", "three", "four")


@dataclass(frozen=True, slots=True, kw_only=True)
class MapDemand:
    """The stages a method compares, as far as both networks have them; `least`: maps that each of them must have.

    Only maps of at least `side` x `side` positions count.
    """

    stages: tuple[StageName, ...]
    least: int
    side: int = LEAST_SIDE

    @property
    def most(self) -> int:
        """Maps of a network that are tapped, from the deepest to that of the shallowest stage."""
        return max(map(STAGES.index, self.stages)) + 1


# The first three average the last map over its positions or compare it whole: one position will do. The literature's
# networks have three stages on CIFAR and four on ImageNet.
DEMANDS: dict[str, MapDemand] = {
    "sp": MapDemand(stages=("last",), least=1, side=1),
    "rkd": MapDemand(stages=("last",), least=1, side=1),
    "crd": MapDemand(stages=("last",), least=1, side=1),
    "fitnet": MapDemand(stages=("second_last",), least=2),
    "at": MapDemand(stages=STAGES, least=1),
    "reviewkd": MapDemand(stages=STAGES, least=1),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TappedMap:
    """A tapped map for pictures of one size."""

    module: str
    channels: int
    side: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TappedStage:
    """The maps of student and teacher that are compared at one stage."""

    stage: StageName
    student: TappedMap
    teacher: TappedMap


def map_demand(method: MethodSpec) -> MapDemand | None:
    """What `method` looks at; None for methods of logits alone."""
    if method.name in LOGIT_METHODS:
        return None
    if method.name not in DPK_METHODS:
        return DEMANDS[method.name]
    stages = tuple(stage.name for stage in (method.dpk or CIFAR_DPK).stages)
    return MapDemand(stages=stages, least=max(map(STAGES.index, stages)) + 1)


def usable(sides: Sequence[int], least_side: int) -> tuple[int, ...]:
    """Of maps from shallow to deep, by their sides, the positions of those that are large enough; the deepest first."""
    return tuple(index for index in reversed(range(len(sides))) if sides[index] >= least_side)


def tapped_stages(
    method: MethodSpec, student: ModelCard, teacher: ModelCard, picture_side: int, field: str,
    teacher_side: int | None = None,
) -> tuple[TappedStage, ...]:  # fmt: skip
    """What `method` compares on square pictures of this side, from the deepest stage; nothing where it needs no maps.

    `teacher_side`: of the pictures that the teacher sees, where they are resized for it. Each network gives its own
    deepest maps that are large enough. Raises InvalidRequest on `field` (the teacher's) or on `student`, whichever does
    not take the pictures or has too few maps.
    """
    teacher_side = teacher_side or picture_side
    for card, side, place in ((student, picture_side, "student"), (teacher, teacher_side, field)):
        takes_pictures(card, side, place)
    demand = map_demand(method)
    if demand is None:
        return ()
    students = _maps(method, demand, student, picture_side, "student")
    teachers = _maps(method, demand, teacher, teacher_side, field)
    return tuple(
        TappedStage(stage=stage, student=ours, teacher=theirs)
        for stage, ours, theirs in zip(STAGES, students, teachers, strict=False)
        if stage in demand.stages
    )


def too_few_maps(
    method: MethodSpec, demand: MapDemand, card: ModelCard, picture_side: int, found: int, field: str
) -> InvalidRequest:
    """The refusal of a model that has `found` maps where `method` needs more: it names a picture size on which there
    are enough, and a method that needs none.

    It is on `field`, or on the deepest stage of the settings where the two usual ones would find their maps.
    """
    stage = f" with stage {STAGES[demand.least - 1]}" if method.name in DPK_METHODS else ""
    size, plural = f"{demand.side}x{demand.side}", "" if demand.least == 1 else "s"
    larger = next(
        (
            f"on {side}x{side} it has {_count(len(taps))}; "
            for side in sorted({*USUAL_SIDES, card.sides.only or 0})
            if side > picture_side
            and card.sides.refusal(side) is None
            and len(taps := _usable_taps(card, side, demand)) >= demand.least
        ),
        "",
    )
    message = (
        f"Method {method.name}{stage} needs {_count(demand.least)} feature map{plural} of at least {size}. On "
        f"{picture_side}x{picture_side} pictures {card.name} has {_count(found)}; {larger}method kd needs none."
    )
    if method.dpk is not None and demand.least > len(CIFAR_DPK.stages) <= found:
        index = [stage.name for stage in method.dpk.stages].index(STAGES[demand.least - 1])
        return InvalidRequest(f"method.stages[{index}].name", message, STAGES[found - 1])
    return InvalidRequest(field, message, plain_choice(card, picture_side))


def _maps(method: MethodSpec, demand: MapDemand, card: ModelCard, picture_side: int, field: str) -> list[TappedMap]:
    """The maps of one network that are large enough, the deepest first."""
    if card.obstacle is not None:
        message = f"{card.name} has no feature maps to tap: {card.obstacle}. Method kd needs none."
        raise InvalidRequest(field, message, plain_choice(card, picture_side))
    taps = _usable_taps(card, picture_side, demand)
    if len(taps) < demand.least:
        raise too_few_maps(method, demand, card, picture_side, len(taps), field)
    return [TappedMap(module=tap.module, channels=tap.channels, side=tap.side(picture_side)) for tap in taps]


def _usable_taps(card: ModelCard, picture_side: int, demand: MapDemand) -> list[Tap]:
    sides = [tap.side(picture_side) for tap in card.taps]
    return [card.taps[index] for index in usable(sides, demand.side)]


def _count(maps: int) -> str:
    return COUNTS[maps] if maps < len(COUNTS) else str(maps)
