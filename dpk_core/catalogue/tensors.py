"""What a safetensors file holds, read off its header: eight bytes of length, then JSON. No torch, no tensor is read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

MOST_HEADER_BYTES = 100_000_000
"""The format's own limit."""


def tensor_shapes(path: Path) -> Mapping[str, tuple[int, ...]]:
    """Every tensor's shape by name. Raises OSError, and ValueError with the reason where it is no safetensors file."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= MOST_HEADER_BYTES:
            raise ValueError("it does not begin with a header")
        header = file.read(length)
    try:
        entries: dict[str, Any] = json.loads(header)
        entries.pop("__metadata__", None)
        end = max((entry["data_offsets"][1] for entry in entries.values()), default=0)
        shapes = {name: tuple(int(size) for size in entry["shape"]) for name, entry in entries.items()}
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        raise ValueError("its header cannot be read") from None
    if path.stat().st_size != 8 + length + end:
        raise ValueError("it is not whole")
    return shapes


def names_digest(names: Iterable[str]) -> str:
    """A short hash of a set of tensor names: equal for a model and a file that holds it."""
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()[:16]
