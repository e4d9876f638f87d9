"""What timm and torchvision publish for a model: which weights, for how many classes, under which name."""

from __future__ import annotations

import timm
import torchvision
from timm.models import get_pretrained_cfg

from dpk_core.catalogue.models import model_card
from dpk_core.catalogue.weights import Published

RESCALING = frozenset({"torchvision/googlenet", "torchvision/inception_v3"})
"""Their published weights go with a rescaling of the input that a file of weights cannot hold."""


def published(model: str) -> Published | None:
    """What the installed library publishes for `model` and loads without further ado; None: nothing.

    Raises InvalidRequest on field `model` for an unknown name.
    """
    family, _, member = model_card(model, "model").name.partition("/")
    if family == "timm":
        return _timm(member)
    if family == "torchvision" and model not in RESCALING:
        return _torchvision(member)
    return None


def library(model: str) -> str:
    """The library that publishes weights for the model, and its installed version."""
    if model.startswith("timm/"):
        return f"timm {timm.__version__}"
    return f"torchvision {torchvision.__version__.partition('+')[0]}"


def _timm(member: str) -> Published | None:
    config = get_pretrained_cfg(member)
    if config is None or not config.has_weights:
        return None
    if config.hf_hub_id is not None:
        return Published(name=f"{member}.{config.tag}", classes=config.num_classes, hub=config.hf_hub_id)
    if not isinstance(config.url, str):
        return None
    return Published(name=config.url.rpartition("/")[2], classes=config.num_classes)


def _torchvision(member: str) -> Published:
    weights = torchvision.models.get_model_weights(member).DEFAULT
    return Published(name=weights.url.rpartition("/")[2], classes=len(weights.meta["categories"]))
