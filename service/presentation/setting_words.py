"""Sentences and labels for the settings of a job. Knows the wire schemas only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dpk_core.spec import DPK_METHODS
from service.presentation.numbers import listed
from service.wire.boards import Setup
from service.wire.setting_choices import MethodChoice

_AUGMENTATIONS = {
    "none": "no augmentation",
    "shift": "random shifts",
    "crop_flip": "random crops and flips",
    "resized_crop_flip": "random resized crops and flips",
}
_OPTIMISERS = {"sgd": "SGD", "adamw": "AdamW"}


def method_label(method: MethodChoice) -> str:
    """The method as asked for, e.g. `DPK (feature_weight 3)`."""
    given = dict(_single(method.settings)) | ({"inherit": True} if method.inherit else {})
    if method.profile != "probe":
        given = {"profile": method.profile, **given}
    return f"{method.name.upper()} ({_listed(given)})" if given else method.name.upper()


def method_line(setup: Setup) -> str:
    """Name and profile, and which settings differ from the recipe's defaults."""
    method, changes = setup.method_settings, _listed(setup.method_changes)
    name = str(method["name"])
    if name in DPK_METHODS:
        name = f"{name}, {method['profile']} profile"
    if method["inherit"] or name == "inherit":
        name = f"{name}; students begin with their teacher's neck and heads"
    return f"{name}; not by default: {changes}" if changes else name


def recipe_line(setup: Setup) -> str:
    """Optimiser, rate, batch, augmentation, arithmetic and what else is on, and which settings were changed."""
    settings = setup.recipe_settings
    optimiser, detection = settings["optimiser"], settings["detection"]
    augmentation = _AUGMENTATIONS.get(settings["augmentation"], settings["augmentation"])
    if detection is not None:
        augmentation = _box_augmentation(detection["augmentation"])
    said = (
        f"{setup.recipe}: {_OPTIMISERS.get(optimiser, optimiser)}, learning rate {setup.learning_rate:g}, batches of "
        f"{setup.batch_size}, {listed([augmentation, *_switched_on(settings)])}, {settings['precision']}."
    )
    changes = _listed(setup.recipe_changes)
    return f"{said} Changed: {changes}." if changes else said


def every_setting(settings: Mapping[str, Any]) -> str:
    """All of a recipe's or a method's that have a value."""
    return _listed({name: value for name, value in _single(settings) if name != "name" and value is not None})


def _switched_on(settings: Mapping[str, Any]) -> list[str]:
    """What a recipe does beside its augmentation of places, as far as it does it."""
    parts, norm, kept = settings["accumulation"], settings["clip_norm"], settings["ema_decay"]
    kinds = {
        f"RandAugment {settings['randaugment']}": settings["randaugment"] is not None,
        f"erasing {settings['erasing']:g}": settings["erasing"],
        f"mixup {settings['mixup']:g}": settings["mixup"],
        f"CutMix {settings['cutmix']:g}": settings["cutmix"],
        f"label smoothing {settings['label_smoothing']:g}": settings["label_smoothing"],
        f"gradients cut to a norm of {setting_value(norm)}": norm is not None,
        f"batches in {parts} parts": parts > 1,
        f"the running average of the weights ({setting_value(kept)})": kept is not None,
    }
    return [name for name, is_on in kinds.items() if is_on]


def pictures_line(setup: Setup) -> str:
    """Size and channels of a picture."""
    channels = f"{setup.channels} channel{'' if setup.channels == 1 else 's'}"
    size, detection = f"{setup.side} x {setup.side} px", setup.recipe_settings["detection"]
    if detection is not None:
        size = f"on a canvas of {detection['canvas']['height']} x {detection['canvas']['width']} px (height x width)"
    return f"{size}, {channels}; {setup.train_pictures} for training"


def _box_augmentation(settings: Mapping[str, Any]) -> str:
    """Those kinds that are on, with the boxes that follow them."""
    kinds = {
        "flips": settings["flip"] or settings["upright_flip"],
        f"zooms up to {settings['zoom']:g}": settings["zoom"] > 1,
        f"colours ± {settings['colour']:g}": settings["colour"],
    }
    on = [name for name, is_on in kinds.items() if is_on]
    return listed(on) if on else "no augmentation"


def _single(settings: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _single(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _listed(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {setting_value(value)}" for name, value in settings.items())


def setting_value(value: object) -> str:
    """A number as short as it can be; of a list what tells its entries apart, with their weights."""
    if isinstance(value, bool) or value is None:
        return {None: "none", True: "on", False: "off"}[value]
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        return f"[{', '.join(setting_value(each) for each in value)}]"
    if isinstance(value, dict) and "name" in value:
        weight = value.get("weight")
        return str(value["name"]) if weight is None else f"{value['name']} {setting_value(weight)}"
    return str(value)
