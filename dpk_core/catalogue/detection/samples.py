"""A few pictures with their true boxes and, of a detector, those that it finds: small enough to be kept and shown."""

from __future__ import annotations

import base64
import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dpk_core.catalogue.content import remembered
from dpk_core.catalogue.detection.index import SplitIndex
from dpk_core.catalogue.detection.store import recalled_index
from dpk_core.codec import from_json, to_json
from dpk_core.display import shown
from dpk_core.errors import DataFault

SAMPLES = 3
LARGEST = 320
"""Longer side in pixels of a picture that is kept."""
MOST_BOXES = 40
"""Of a kind in a picture; of what is found, the surest."""
LEAST_SCORE = 0.3
"""Detections below it are left out: a detector gives hundreds that it does not believe."""
QUALITY = 75


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleBox:
    """`corners`: left, top, right, bottom as parts of width and height. `score`: None of a true box."""

    corners: tuple[float, ...]
    label: str
    score: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplePicture:
    """`width`, `height`: in pixels as the data set has it. `picture`: a data URI, None where it cannot be decoded."""

    name: str
    width: int
    height: int
    picture: str | None
    truth: tuple[SampleBox, ...]
    found: tuple[SampleBox, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionSamples:
    """What a training leaves as an artifact: the same pictures for every detector on the same data."""

    pictures: tuple[SamplePicture, ...]


def training_samples(folder: Path, most: int) -> DetectionSamples:
    """Training pictures with their boxes, decoded once per content. Raises DataFault."""
    found = recalled_index(folder)
    key = hashlib.sha256(f"{found.fingerprint} {most}".encode()).hexdigest()
    index, split = found.index, found.index.splits["train"]

    def made() -> dict[str, Any]:
        positions = sample_positions(split, most)
        pictures = tuple(true_picture(folder, split, index.classes, position) for position in positions)
        return dict(to_json(DetectionSamples(pictures=pictures)))

    return from_json(DetectionSamples, remembered("box_samples", key, made))


def sample_positions(split: SplitIndex, most: int = SAMPLES) -> list[int]:
    """Pictures that are shown: of those with boxes, evenly spaced in the order of their number of boxes."""
    counts_N = np.diff(split.first_N1)
    with_boxes = np.flatnonzero(counts_N)
    ordered = with_boxes[np.argsort(counts_N[with_boxes], kind="stable")]
    most = min(most, len(ordered))
    return [int(ordered[place]) for place in ((np.arange(most) + 0.5) * len(ordered) / max(1, most)).astype(np.int64)]


def true_picture(folder: Path, split: SplitIndex, classes: tuple[str, ...], position: int) -> SamplePicture:
    """A picture of a split with its true boxes."""
    height, width = split.sizes_N2[position].tolist()
    name, boxes = split.name(position), slice(split.first_N1[position], split.first_N1[position + 1])
    truth = [
        sample_box(corners_4, (height, width), classes[label])
        for corners_4, label in zip(split.boxes_M4[boxes].tolist(), split.classes_M[boxes].tolist(), strict=True)
    ]
    picture = _encoded(folder / name, name, (height, width))
    return SamplePicture(
        name=shown(name), width=width, height=height, picture=picture, truth=tuple(truth[:MOST_BOXES])
    )  # fmt: skip


def sample_box(corners_4: list[float], size: tuple[int, int], label: str, score: float | None = None) -> SampleBox:
    """From pixels of a picture of this height and width."""
    height, width = size
    parts = (value / whole for value, whole in zip(corners_4, (width, height, width, height), strict=True))
    return SampleBox(
        corners=tuple(round(min(1.0, max(0.0, part)), 4) for part in parts), label=shown(label),
        score=None if score is None else round(score, 3),
    )  # fmt: skip


def _encoded(path: Path, name: str, size: tuple[int, int]) -> str | None:
    """As the picture is annotated: upright, unless its boxes are those of the unturned one."""
    # Here, as Pillow is loaded only where pictures are looked at.
    from PIL import Image

    from dpk_core.catalogue.detection.upright import opened
    from dpk_core.catalogue.headers import BROKEN

    height, width = size
    scale = min(1.0, LARGEST / max(height, width))
    try:
        pixels = opened(name, path.read_bytes(), height, width, LARGEST)
        small = pixels.resize((max(1, round(width * scale)), max(1, round(height * scale))), Image.Resampling.BILINEAR)
    except (*BROKEN, DataFault, OSError):
        return None
    stream = io.BytesIO()
    small.save(stream, "jpeg", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"
