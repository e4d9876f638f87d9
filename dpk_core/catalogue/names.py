"""Names of models and weights as the libraries print them, in the catalogue's words.

| written | read as |
|---|---|
| `timm/resnet50.a1_in1k` (timm's default tag), with or without `timm/` or `hf-hub:` | `timm/resnet50@pretrained` |
| `timm/resnet50.a2_in1k` | `timm/resnet50@a2_in1k` |
| `ResNet50_Weights.IMAGENET1K_V1`, `torchvision/resnet50@IMAGENET1K_V1` | `torchvision/resnet50@IMAGENET1K_V1` |
| `timm/ResNet50` | `timm/resnet50` |
| `convnext_nano` | `timm/convnext_nano`, as no other family has it |
| `plugin/tinynet` | `plugin/tinynet-1a2b3c4d`, the plug-in as it is installed now |

What is in none of these forms stays as it is, and is refused where it is looked up.
"""

from __future__ import annotations

import re

from dpk_core.catalogue import plugins
from dpk_core.catalogue.models import model_names
from dpk_core.catalogue.published import published_tags
from dpk_core.catalogue.weight_names import FILE, PRETRAINED, RANDOM

DEFAULT = "DEFAULT"
"""torchvision's alias of the weights it takes by default."""

_HUB = re.compile(r"(hf[-_]hub:|https?://huggingface\.co/)", re.IGNORECASE)
_TORCHVISION = re.compile(r"(?:torchvision(?:\.models\.|/))?(\w+)_Weights(?:\.(\w+))?")


def canonical(model: str, weights: str) -> tuple[str, str]:
    """Model and weights in the catalogue's words.

    A tag that is part of the model's name names the weights, unless others are named beside it.
    """
    if (plugin := plugins.full_name(model)) is not None:
        return plugin, weights
    known, tag = _known(model)
    if known is None:
        return model, weights
    word = tag if tag and weights in (RANDOM, PRETRAINED) else weights
    return known, word if word.startswith(FILE) or word in (RANDOM, PRETRAINED) else _published_word(known, word)


def _known(name: str) -> tuple[str | None, str]:
    """The model that is meant, None where it is not clear which, and the tag in its name, if any."""
    if (enumerated := _TORCHVISION.fullmatch(name)) is not None:
        wanted, tag = f"torchvision/{enumerated[1]}", enumerated[2] or DEFAULT
    else:
        family, slash, member = _HUB.sub("", name, count=1).rpartition("/")
        member, _, tag = member.partition(".")
        wanted = family + slash + member
    meant = _meant(wanted.lower())
    if tag:  # one that is not known is refused where the weights are looked up
        meant = [model for model in meant if _tag(model, tag) is not None] or meant
    return (meant[0], tag) if len(meant) == 1 else (None, "")


def _meant(name: str) -> list[str]:
    """The models of this name; those of every family where none is named."""
    if "/" in name:
        return [name] if name in model_names() else []
    return [model for model in model_names() if model.rpartition("/")[2] == name]


def _published_word(model: str, word: str) -> str:
    """The word for the published weights of this tag; the library's default is `pretrained`, whichever it is."""
    tag = _tag(model, word)
    default = next(iter(published_tags(model, "weights")), None)
    return word if tag is None else PRETRAINED if tag == default else tag


def _tag(model: str, word: str) -> str | None:
    """The library's tag that is meant; None where there is none of this name."""
    tags = {tag.lower(): tag for tag in published_tags(model, "weights")}
    if model.startswith("torchvision/"):
        word = word.rpartition(".")[2]
        if word == DEFAULT:
            return next(iter(tags.values()), None)
    return tags.get(word.lower())
