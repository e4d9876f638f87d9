"""Model cards: what can be known of a model without building it.

The CIFAR families are declared in `cifar_models.py`; timm's and torchvision's classifiers come from
`library_models.json`, which `python -m dpk_core.models.inventory` writes from the installed libraries. Plug-ins and
uploads have a document of the same form (`own_models.py`).
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from importlib import resources
from typing import Any

from dpk_core.catalogue import plugins
from dpk_core.catalogue.cifar_models import CIFAR_MODELS, tapped_maps
from dpk_core.catalogue.detection.detectors import DETECTORS, kind_and_backbone, level_modules
from dpk_core.catalogue.own_models import UPLOAD, own_model, upload_names
from dpk_core.detection_settings import DetectionSettings
from dpk_core.errors import InvalidRequest
from dpk_core.nearest import nearest
from dpk_core.tasks import TaskName

FAMILIES = ("cifar/…", "timm/…", "detection/…", "plugin/…", "own/…")
PLAIN_CHOICE = "cifar/resnet20"
"""Offered where a model cannot take the pictures or gives no feature maps: it works on most data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tap:
    """A feature map. `module`: dotted name of the module that gives it; `stride` and `offset`: see `side`.

    `layout`: how the module gives it: `nchw` (channels first), `nhwc` (channels last), or `tokens:<n>`, a sequence of
    n tokens that stand for no place (class, registers) and then the map row by row.
    """

    module: str
    channels: int
    stride: int
    offset: int
    layout: str = "nchw"

    def side(self, picture_side: int) -> int:
        """Side of the map for a square picture of `picture_side`.

        Every chain of strided convolutions and pooling has this form: an offset of 0 rounds down, one of stride − 1
        rounds up, and convolutions without padding have a negative one.
        """
        return (picture_side + self.offset) // self.stride


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureSides:
    """Which square pictures a model takes: of exactly side `only`, else of every multiple of `step` from `least` up.

    `sized`: the model must be built for the side of its pictures.
    """

    least: int = 1
    step: int = 1
    only: int | None = None
    sized: bool = False

    def refusal(self, side: int) -> str | None:
        """Why pictures of `side` are not taken, as the end of a sentence about the model; None where they are."""
        if self.only is not None:
            return None if side == self.only else f"takes only {self.only}x{self.only} pictures, not {side}x{side}"
        if side < self.least:
            return f"takes pictures from {self.least}x{self.least} up, not {side}x{side}"
        if side % self.step:
            return f"takes pictures whose side is a multiple of {self.step}, not {side}x{side}"
        return None


ANY_SIDE = PictureSides()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """A model by name. `taps` from shallow to deep; `obstacle`: why there are none, else None.

    `classifies`: whether it gives one score for each class, without which nothing can be learned from it. `channels`,
    `classes`: the only number of them that the model can have, None where it is built for any; a model of three
    channels takes grey pictures too, as three equal channels. `task`: what it does; a detector does not classify.

    One tap per resolution. Where all maps of a model have one resolution (ViT), two of them: the last, and the one two
    thirds down.
    """

    name: str
    taps: tuple[Tap, ...]
    sides: PictureSides = ANY_SIDE
    obstacle: str | None = None
    classifies: bool = True
    channels: int | None = None
    classes: int | None = None
    task: TaskName = "classification"


def model_names() -> tuple[str, ...]:
    """Every `family/name` of libraries, detectors and plug-ins, sorted. Uploads are listed by whoever holds them."""
    return tuple(sorted((*_cards(), *DETECTORS, *plugins.plugin_names())))


def model_card(name: str, field: str) -> ModelCard:
    """The card of `name`. Raises InvalidRequest on `field` when there is none, with the nearest name of its family, or
    where a plug-in cannot be built."""
    if name in _cards():
        return _cards()[name]
    if name in DETECTORS:
        return _detector_card(name)
    if (own := own_model(name, field)) is not None:
        return _card(name, own.card)
    near = _nearest(name)
    families = "" if near else f" Models are named {', '.join(FAMILIES)} or torchvision/…; see docs/teachers.md."
    raise InvalidRequest(field, f"There is no model {name!r}.{families}", near)


def check_data(card: ModelCard, channels: int, classes: int, field: str) -> None:
    """Raises InvalidRequest on `field` where the model cannot be built for pictures of so many channels or classes."""
    if card.channels not in (None, channels) and (card.channels, channels) != (3, 1):
        takes = f"{card.name} takes pictures with {card.channels} channel(s)"
        raise InvalidRequest(field, f"{takes}, and these have {channels}; export it anew.")
    if card.classes not in (None, classes):
        message = (
            f"{card.name} gives scores for {card.classes} classes and these data have {classes}; its last layer is no "
            f"linear one, so it cannot be replaced. Export it with {classes} classes."
        )
        raise InvalidRequest(field, message)


def takes_pictures(card: ModelCard, picture_side: int, field: str) -> None:
    """Raises InvalidRequest on `field` where the model cannot classify square pictures of this side at all."""
    if not card.classifies:
        raise InvalidRequest(field, f"{card.name} is no classifier: {card.obstacle}.", plain_choice(card, picture_side))
    refusal = card.sides.refusal(picture_side)
    if refusal is not None:
        again = ""
        if card.name.startswith(f"{UPLOAD}/"):
            size = f"{picture_side}x{picture_side}"
            again = f" Export it for {size} pictures, or with height and width as dimensions (torch.export.Dim)."
        raise InvalidRequest(field, f"{card.name} {refusal}.{again}", plain_choice(card, picture_side))


def plain_choice(card: ModelCard, picture_side: int) -> str | None:
    """A model that works on most data, where it has two maps of 2x2 or more and is not the one that was refused."""
    works = sum(tap.side(picture_side) >= 2 for tap in _cards()[PLAIN_CHOICE].taps) >= 2
    return PLAIN_CHOICE if works and card.name != PLAIN_CHOICE else None


def _nearest(name: str) -> str | None:
    """The name most like it in the family it names; without a family, first the same name in any."""
    family, _, member = name.rpartition("/")
    known_names = upload_names() if family == UPLOAD else model_names()
    of_family = [known for known in known_names if known.startswith(f"{family}/")]
    same = [] if of_family else [known for known in model_names() if known.rpartition("/")[2] == member]
    return same[0] if same else nearest(name, of_family or model_names())


@functools.cache
def _cards() -> dict[str, ModelCard]:
    cards = {f"cifar/{name}": _cifar_card(name) for name in CIFAR_MODELS}
    text = resources.files(__package__).joinpath("library_models.json").read_text()
    return cards | {name: _card(name, entry) for name, entry in json.loads(text)["models"].items()}


def _card(name: str, entry: dict[str, Any]) -> ModelCard:
    return ModelCard(
        name=name,
        taps=tuple(_tap(*tap) for tap in entry["taps"]),
        sides=PictureSides(**entry["sides"]) if "sides" in entry else ANY_SIDE,
        obstacle=entry.get("obstacle"),
        classifies=entry.get("classifies", True),
        channels=entry.get("channels"),
        classes=entry.get("classes"),
        task=entry.get("task", "classification"),
    )


def _tap(module: str, channels: int, stride: int, layout: str = "nchw", offset: int | None = None) -> Tap:
    """`offset`: None where the map's side is rounded up."""
    rounded_up = stride - 1
    return Tap(
        module=module, channels=channels, stride=stride, offset=rounded_up if offset is None else offset, layout=layout
    )


def _detector_card(name: str) -> ModelCard:
    """Its taps are the levels of its pyramid as recipe `detection_small` has it; other recipes may have others."""
    settings = DetectionSettings().of(kind_and_backbone(name, "model")[0])
    taps = tuple(
        Tap(module=module, channels=settings.channels, stride=2**level, offset=0)
        for module, level in zip(level_modules(settings), settings.levels, strict=True)
    )
    step = 2 ** settings.levels[-1]
    return ModelCard(
        name=name, taps=taps, sides=PictureSides(least=step, step=step), classifies=False, channels=3, task="detection",
        obstacle="it finds boxes, on data sets named boxes/…",
    )  # fmt: skip


def _cifar_card(family_member: str) -> ModelCard:
    return ModelCard(name=f"cifar/{family_member}", taps=tuple(_tap(*tap) for tap in tapped_maps(family_member)))
