"""Small data sets of picture files, written for a test."""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dpk_core.catalogue.datasets import DatasetCard
from dpk_core.catalogue.reading import Background, Fit, ReadingRule

CLASSES = ("ant", "bee", "cat")


def pixels(seed: int, height: int = 12, width: int = 12, channels: int = 3) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A picture of noise."""
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def rule(channels: int, side: int, fit: Fit = "whole", background: Background = "white") -> ReadingRule:
    """How pictures are read."""
    return ReadingRule(channels=channels, side=side, fit=fit, background=background)


def notes(card: DatasetCard) -> tuple[str, ...]:
    """What is said of files left out and of how labels and pictures are read."""
    return tuple(each.message for each in card.findings if each.code in ("left_out", "note", "deep"))


def encoded(picture: np.ndarray[Any, Any], kind: str = "png") -> bytes:
    """The bytes of a picture file."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, kind)
    return buffer.getvalue()


def write_folder(
    root: Path,
    name: str = "made",
    *,
    counts: Mapping[str, int] | None = None,
    classes: Sequence[str] = CLASSES,
    size: tuple[int, int] = (12, 12),
    channels: int = 3,
) -> Path:
    """`<root>/<name>/<split>/<class>/<number>.png` with `counts[split]` pictures a class; returns the folder."""
    for split, count in ({"train": 10} if counts is None else counts).items():
        for label, member in enumerate(classes):
            inside = root / name / split / member
            inside.mkdir(parents=True)
            for number in range(count):
                picture = pixels(zlib.crc32(f"{split} {label} {number}".encode()), *size, channels)
                (inside / f"{number:03}.png").write_bytes(encoded(picture))
    return root / name


def write_parquet(
    path: Path,
    labels: Any,
    *,
    names: Sequence[str] | None = None,
    pictures: Sequence[bytes | None] | None = None,
    label_column: str = "label",
    more: Mapping[str, Any] | None = None,
) -> Path:
    """One Parquet file as Hugging Face writes it, with `more` columns. `labels`: a list of numbers, or a pyarrow array.

    Skips the test, saying so, where pyarrow is not installed.
    """
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    from pyarrow import parquet

    found = [encoded(pixels(row)) for row in range(len(labels))] if pictures is None else pictures
    images = [{"bytes": content, "path": f"{row}.png"} for row, content in enumerate(found)]
    kind = arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])
    column = arrow.array(labels, arrow.int64()) if isinstance(labels, list) else labels
    table = arrow.table({"image": arrow.array(images, kind), label_column: column, **(more or {})})
    if names is not None:
        features = {label_column: {"names": list(names), "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, path, row_group_size=7)
    return path
