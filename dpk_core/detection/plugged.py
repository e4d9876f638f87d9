"""Builds detectors of installed packages, and measures them. Shapes: B pictures, C channels, H x W the canvas.

A package's module `maps(pictures_BCHW)` gives the maps of its pyramid by level (`P4`: B x C x H/2⁴ x W/2⁴). In training
it is called with pictures and targets, one for each picture with `boxes` (left, top, right, bottom in pixels) and
`labels` (0 …), and gives losses by name; in evaluation with pictures alone, and gives for each `boxes`, `labels` and
`scores`. Pictures are normalised and lie on the canvas: it resizes none.
"""

from __future__ import annotations

from typing import Any, get_args

import torch
from torch import Tensor, nn

from dpk_core.catalogue.plugins import entry_point
from dpk_core.detection_settings import Canvas, LevelName
from dpk_core.errors import InvalidRequest
from dpk_core.models.initialisation import own_randomness

LEVELS: tuple[LevelName, ...] = get_args(LevelName)


class PluggedDetector(nn.Module):
    """A package's detector, called as those of `detection.models` are."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pictures_BCHW: Tensor, targets: list[dict[str, Tensor]] | None = None) -> Any:
        """See the module."""
        return self.model(pictures_BCHW) if targets is None else self.model(pictures_BCHW, targets)

    def backbone(self, pictures_BCHW: Tensor) -> dict[str, Tensor]:
        """The maps by level, the finest first."""
        maps: Any = self.model.maps
        found: dict[str, Tensor] = maps(pictures_BCHW)
        return {name: found[name] for name in LEVELS if name in found}


def build_plugged(name: str, *, classes: int, canvas: Canvas, seed: int) -> PluggedDetector:
    """Calls what the entry point names, in training mode on the CPU; the operator installed it.

    Raises InvalidRequest on field `model` where it is not installed here.
    """
    found = entry_point(name)
    if found is None:
        raise InvalidRequest("model", f"The plug-in {name} is not installed here.")
    with own_randomness(seed):
        model = found.load()(classes=classes, channels=3, height=canvas.height, width=canvas.width)
    if not isinstance(model, nn.Module):
        raise TypeError(f"{found.value} gave {type(model).__name__}, not a torch.nn.Module")
    if not callable(getattr(model, "maps", None)):
        raise TypeError(f"{found.value} gave a module without a method maps, which gives the maps of its levels")
    return PluggedDetector(model).train()


def card_entry(detector: PluggedDetector, canvas: Canvas, classes: int) -> dict[str, Any]:
    """Its entry as of `library_models.json`, after one training and one evaluation call on blank pictures. Raises
    ValueError with what it gives that is not asked for."""
    pictures_BCHW = torch.zeros(2, 3, canvas.height, canvas.width)
    _check_losses(detector, pictures_BCHW, classes)
    detector.eval()
    with torch.no_grad():
        maps, found = detector.backbone(pictures_BCHW), detector(pictures_BCHW)
    for name, each in maps.items():
        expected = (2, each.shape[1], canvas.height >> int(name[1:]), canvas.width >> int(name[1:]))
        if tuple(each.shape) != expected:
            raise ValueError(f"its map {name} has the shape {tuple(each.shape)}, not {expected}")
    if not maps:
        raise ValueError(f"maps gives none of the levels {', '.join(LEVELS)}")
    if len(found) != 2 or any(not {"boxes", "labels", "scores"} <= each.keys() for each in found):
        raise ValueError("in evaluation it does not give boxes, labels and scores for each picture")
    strides = {name: 2 ** int(name[1:]) for name in maps}
    step = max(strides.values())
    return {
        "task": "detection", "taps": [[name, maps[name].shape[1], strides[name], "nchw", 0] for name in maps],
        "sides": {"least": step, "step": step}, "classifies": False, "channels": 3,
        "obstacle": "it finds boxes, on data sets named boxes/…",
    }  # fmt: skip


def _check_losses(detector: PluggedDetector, pictures_BCHW: Tensor, classes: int) -> None:
    height, width = pictures_BCHW.shape[-2:]
    box = torch.tensor([[width / 4, height / 4, width / 2, height / 2]])
    targets = [
        {"boxes": box, "labels": torch.tensor([classes - 1])},
        {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)},
    ]
    losses = detector.train()(pictures_BCHW, targets)
    scalars = isinstance(losses, dict) and all(isinstance(each, Tensor) and each.ndim == 0 for each in losses.values())
    if not losses or not scalars:
        raise ValueError("in training it does not give losses by name, each one number")
    if not bool(torch.stack(list(losses.values())).isfinite().all()):
        raise ValueError("its losses are not finite where a picture has no boxes")
