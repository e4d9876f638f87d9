"""What people wrote beside their weights: how pictures are prepared for them, and their classes' names. No torch.

| place | read |
|---|---|
| metadata of a safetensors file | entries by the names below, values as JSON |
| `<name>.json` beside `<name>.safetensors` (or `.pth` …) | an object; before the metadata |
| `config.json` beside `model.…` or `pytorch_model.…`, or beside a single weights file | the same, failing the other |

An object may be what timm writes (`pretrained_cfg`), what `dpk export` writes, or hold the names themselves:

| name | meaning |
|---|---|
| `mean`, `std` (`image_mean`, `image_std`) | by channel, of pictures in 0 … `scale` |
| `scale` | 1 or 255, what white is before the mean is taken away; 1 |
| `size`, `input_size` | side, or `[channels, height, width]` |
| `interpolation` | `bilinear`, `bicubic` or `nearest`; `lanczos` counts as `bicubic`, timm's `random` as `bilinear` |
| `channel_order` | `rgb` or `bgr` |
| `detector` | of a detector, how it is built, as `dpk export` writes it |
| `classes`, `label_names`, `class_names`, `id2label` | the names of the classes in the order of the scores |
| `license` | a text, for the model card of students that learned from them |
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dpk_core.catalogue.pytorch_files import ENDINGS
from dpk_core.catalogue.spelling import composed
from dpk_core.catalogue.tensors import is_pytorch_file, read_metadata
from dpk_core.codec import from_json
from dpk_core.detection_settings import DetectorSettings
from dpk_core.display import shown
from dpk_core.errors import InvalidRequest
from dpk_core.preprocessing import ChannelOrder, Interpolation, ModelPreprocessing

WEIGHTS_ENDINGS = (".safetensors", *ENDINGS)
HUB_NAMES = ("model", "pytorch_model")
"""What the Hugging Face hub calls the weights that a `config.json` belongs to."""
MOST_BYTES = 4 * 2**20
"""Names of 20,000 classes take about a megabyte."""
LONGEST_LICENSE = 200
CLASS_NAMES = ("classes", "label_names", "class_names")

INTERPOLATIONS: dict[str, Interpolation] = {"nearest": "nearest", "bicubic": "bicubic", "lanczos": "bicubic"}
"""By the libraries' names; everything else that they have is bilinear."""
STATED_INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos", "random")
"""What can be said beside weights. timm's `random` is drawn while training."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """What is stated of weights. `source`: where; `classes`: their names in the order of the scores; `detector`: how a
    detector is built; `license`: as its owner writes it."""

    source: str = ""
    preprocessing: ModelPreprocessing | None = None
    classes: tuple[str, ...] | None = None
    detector: DetectorSettings | None = None
    license: str | None = None


NOTHING_STATED = Stated()


def stated_beside(path: Path, name: str, field: str) -> Stated:
    """What is stated of the weights file `name`. Raises InvalidRequest on `field` where that cannot be understood."""
    found: dict[str, Any] = {}
    if not is_pytorch_file(path):
        found = {key: _decoded(value) for key, value in read_metadata(path).items()}
    source = f"the metadata of {name}" if _stated(found) else ""
    beside = _side_car(path)
    try:
        if beside is not None:
            found |= _read(beside)
            source = beside.name
        return stated(found, source)
    except (OSError, ValueError, TypeError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        where = source if beside is None else beside.name
        message = f"What {where} says of the weights {name} cannot be understood: {reason}."
        raise InvalidRequest(field, message) from None


def stated(document: Mapping[str, Any], source: str) -> Stated:
    """What an object says. Raises ValueError or TypeError with the reason."""
    found = _stated(document)
    mean, std = found.get("mean", found.get("image_mean")), found.get("std", found.get("image_std"))
    side = _side(found.get("size", found.get("input_size")))
    scale, order = found.get("scale"), found.get("channel_order", "rgb")
    if order not in ("rgb", "bgr"):
        raise ValueError(f"channel_order is rgb or bgr, not {order!r}")
    if not isinstance(scale, int | float | None):
        raise ValueError(f"scale must be a number, not {scale!r}")
    interpolation = found.get("interpolation", "bilinear")
    if interpolation not in STATED_INTERPOLATIONS:
        raise ValueError(f"interpolation is one of {', '.join(STATED_INTERPOLATIONS)}, not {interpolation!r}")
    preprocessing = preprocessing_of(
        mean=_numbers("mean", mean), std=_numbers("std", std), scale=scale, side=side, channel_order=order,
        interpolation=INTERPOLATIONS.get(interpolation, "bilinear"),
    )  # fmt: skip
    return Stated(
        source=source, preprocessing=preprocessing, classes=_classes(found), detector=_detector(document),
        license=_license(document),
    )  # fmt: skip


def preprocessing_of(
    *, mean: tuple[float, ...] | None = None, std: tuple[float, ...] | None = None, scale: float | None = None,
    side: int | None = None, interpolation: Interpolation = "bilinear", channel_order: ChannelOrder = "rgb",
) -> ModelPreprocessing | None:  # fmt: skip
    """What was given, the rest filled in: where one of mean, std and scale is, the others are 0, 1 and 1. None: nothing
    was given. Raises ValueError."""
    scaled = (mean, std, scale) != (None, None, None)
    if not scaled and side is None and channel_order == "rgb":
        return None
    if scaled:
        mean, std = mean or (0.0,), std or (1.0,)
    return ModelPreprocessing(
        mean=mean, std=std, scale=1.0 if scale is None else float(scale), side=side, interpolation=interpolation,
        channel_order=channel_order,
    )  # fmt: skip


def _stated(document: Mapping[str, Any]) -> dict[str, Any]:
    """The names of the object and, before them, of timm's configuration in it."""
    inner = document.get("pretrained_cfg")
    both = {**document, **inner} if isinstance(inner, dict) else dict(document)
    if document.get("task") == "detection":  # its canvas is the recipe's
        both = {key: value for key, value in both.items() if key not in ("size", "input_size")}
    known = {"mean", "std", "image_mean", "image_std", "scale", "size", "input_size", "interpolation", "channel_order"}
    return {key: both[key] for key in both.keys() & {*known, *CLASS_NAMES, "id2label"} if both[key] is not None}


def _license(document: Mapping[str, Any]) -> str | None:
    inner = document.get("pretrained_cfg")
    found = document.get("license", inner.get("license") if isinstance(inner, dict) else None)
    return shown(found[:LONGEST_LICENSE]) if isinstance(found, str) and found.strip() else None


def _detector(document: Mapping[str, Any]) -> DetectorSettings | None:
    """As `dpk export` writes it."""
    said = document.get("detector")
    return from_json(DetectorSettings, said["settings"]) if isinstance(said, dict) and "settings" in said else None


def _numbers(name: str, value: Any) -> tuple[float, ...] | None:
    if value is None:
        return None
    values = value if isinstance(value, list) else [value]
    if not values or any(isinstance(each, bool) or not isinstance(each, int | float) for each in values):
        raise ValueError(f"{name} must be a number or a list of numbers, not {value!r}")
    return tuple(float(each) for each in values)


def _side(value: Any) -> int | None:
    """Of a number, `[channels, height, width]` or an object of height and width."""
    if isinstance(value, dict):
        value = list(value.values())
    sides = value[-2:] if isinstance(value, list) else [value]
    if value is None:
        return None
    if any(type(each) is not int for each in sides) or len(set(sides)) != 1:
        raise ValueError(f"size must be the side of square pictures, not {value!r}")
    return int(sides[0])


def _classes(found: Mapping[str, Any]) -> tuple[str, ...] | None:
    names = next((found[key] for key in CLASS_NAMES if key in found), None)
    if names is None and isinstance(found.get("id2label"), dict):
        numbered = {int(key): value for key, value in found["id2label"].items()}
        names = [numbered.get(place) for place in range(len(numbered))]
    if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
        return None
    return tuple(composed(each) for each in names)


def _side_car(path: Path) -> Path | None:
    own = path.with_suffix(".json")
    if own != path and own.is_file():
        return own
    config = path.with_name("config.json")
    if config.is_file() and (path.stem in HUB_NAMES or _is_alone(path)):
        return config
    return None


def _is_alone(path: Path) -> bool:
    """Whether the folder holds no other weights."""
    return [each.name for each in path.parent.iterdir() if each.suffix in WEIGHTS_ENDINGS] == [path.name]


def _read(path: Path) -> dict[str, Any]:
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"it is larger than {MOST_BYTES // 2**20} MiB")
    document = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(document, dict):
        raise TypeError("it is no JSON object")
    return document


def _decoded(text: str) -> Any:
    """A value of the metadata, which are texts."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
