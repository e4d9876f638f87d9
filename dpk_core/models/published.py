"""What timm and torchvision publish for a model: which weights, for how many classes, under which names.

Each library is imported where it is asked, as in `build.py`.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from dpk_core.catalogue.models import model_card
from dpk_core.catalogue.parameters import Published
from dpk_core.catalogue.side_cars import INTERPOLATIONS, preprocessing_of
from dpk_core.preprocessing import ModelPreprocessing

RESCALING = frozenset({"torchvision/googlenet", "torchvision/inception_v3"})
"""Their published weights go with a rescaling of the input that a file of weights cannot hold."""


def published(model: str) -> Mapping[str, Published]:
    """What the installed library publishes for `model` and loads without further ado, by the library's tag for it
    (`a1_in1k`, `IMAGENET1K_V2`); the library's default comes first.

    Raises InvalidRequest on field `model` for an unknown name.
    """
    family, _, member = model_card(model, "model").name.partition("/")
    if family == "timm":
        found = {tag: _timm(f"{member}.{tag}") for tag in _timm_tags().get(member, ())}
        return {tag: each for tag, each in found.items() if each is not None}
    if family == "torchvision" and model not in RESCALING:
        return _torchvision(member)
    return {}


def library(model: str) -> str:
    """The library that publishes weights for the model, and its installed version."""
    if model.startswith("timm/"):
        import timm

        return f"timm {timm.__version__}"
    import torchvision

    return f"torchvision {torchvision.__version__.partition('+')[0]}"


@functools.cache
def _timm_tags() -> Mapping[str, list[str]]:
    """The tags of every model, its default first."""
    import timm

    found: dict[str, list[str]] = {}
    for name in timm.list_pretrained():
        member, _, tag = name.partition(".")
        found.setdefault(member, []).append(tag)
    for member, tags in found.items():
        default = _config(member).tag
        tags.sort(key=lambda tag: (tag != default, tag))
    return found


def _config(name: str) -> Any:
    from timm.models import get_pretrained_cfg

    config = get_pretrained_cfg(name)
    assert config is not None, name
    return config


def _timm(name: str) -> Published | None:
    config = _config(name)
    seen = preprocessing_of(
        mean=tuple(config.mean), std=tuple(config.std), side=config.input_size[1],
        interpolation=INTERPOLATIONS.get(config.interpolation, "bilinear"),
    )  # fmt: skip
    stated = None if config.license == "unknown" else config.license
    if config.hf_hub_id is not None:
        return Published(
            name=name, classes=config.num_classes, hub=config.hf_hub_id, preprocessing=seen, license=stated
        )  # fmt: skip
    if not isinstance(config.url, str):
        return None
    file = config.url.rpartition("/")[2]
    return Published(name=file, classes=config.num_classes, preprocessing=seen, license=stated)


def _torchvision(member: str) -> Mapping[str, Published]:
    import torchvision

    weights = torchvision.models.get_model_weights(member)
    return {
        each.name: Published(
            name=each.url.rpartition("/")[2],
            classes=len(each.meta["categories"]),
            side=_side(member, each),
            preprocessing=_preprocessing(each),
            license=each.meta.get("license"),
        )
        for each in sorted(weights, key=lambda each: (each is not weights.DEFAULT, each.name))
        if each.meta["categories"]
    }


def _preprocessing(weights: Any) -> ModelPreprocessing | None:
    transforms = weights.transforms()
    return preprocessing_of(
        mean=tuple(transforms.mean), std=tuple(transforms.std), side=transforms.crop_size[0],
        interpolation=INTERPOLATIONS.get(transforms.interpolation.value, "bilinear"),
    )  # fmt: skip


def _side(member: str, weights: Any) -> int | None:
    """The side of the pictures the weights were made for, where the model must be built for it."""
    sized = model_card(f"torchvision/{member}", "model").sides.sized
    return int(weights.meta["min_size"][0]) if sized else None
