"""What a safetensors file holds: its header, and its content in one pass. No torch.

The format: eight bytes of length, a JSON header, then the tensors one behind the other without gaps.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dpk_core.codec import strict_json

MOST_HEADER_BYTES = 16 * 2**20
"""Far above any known model's header (a thousand tensors take about 100 KiB) and far below the format's own limit of
100 MB, which would take a gigabyte of memory to parse."""

MOST_DIMENSIONS = 16
"""Twice what any known model's tensors have; a product of very many sizes would take long."""

FIRST_BYTES = 512
"""Enough to recognise a PyTorch file by."""

BLOCK = 2**20
"""Bytes that are hashed and searched at once; a multiple of every number's size."""

PICKLE = "it is a PyTorch file (a pickle) under another ending; name it .pth"

METADATA, UNREADABLE = "__metadata__", "its header cannot be read"

_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "I16": 2, "U16": 2, "F16": 2, "BF16": 2,
    "I32": 4, "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8,
}  # fmt: skip

_EXPONENTS: dict[str, tuple[type[np.unsignedinteger[Any]], int]] = {
    "F16": (np.uint16, 0x7C00),
    "BF16": (np.uint16, 0x7F80),
    "F32": (np.uint32, 0x7F80_0000),
    "F64": (np.uint64, 0x7FF0_0000_0000_0000),
}
"""The bits of the exponent: all of them are set in infinities and NaN, and in no other number."""

FLOATING = frozenset(_EXPONENTS)
"""The types of floating-point numbers that are taken."""


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """One tensor: the format's name of its type, its shape, and where its bytes are, counted from the file's start."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Content:
    """SHA-256 of the whole file (64 hex digits), and the first tensor with a number that is not finite, if any."""

    sha256: str
    not_finite: str | None


def is_pytorch_file(path: Path) -> bool:
    """Whether `torch.save` wrote the file, judged by its first bytes. Raises OSError."""
    with path.open("rb") as file:
        return _is_pickle(file.read(FIRST_BYTES))


def read_header(path: Path) -> Mapping[str, TensorEntry]:
    """Every tensor by name, in the order of their bytes.

    Raises OSError, and ValueError with the reason where the file is not safetensors: the end of a sentence about it.
    """
    entries, start = _header(path)
    try:
        tensors = {_encodable(name): _entry(entry, start) for name, entry in entries.items() if name != METADATA}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(UNREADABLE) from None
    in_order = dict(sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].end)))
    for name, entry in in_order.items():
        if entry.begin != start:
            raise ValueError(f"the bytes of {shown(name)} do not follow those of the tensor before it")
        start = entry.end
    if path.stat().st_size != start:
        raise ValueError("it is not whole")
    return in_order


def read_metadata(path: Path) -> dict[str, str]:
    """The texts that whoever wrote the file added to it. Raises as `read_header` does."""
    found = _header(path)[0].get(METADATA) or {}
    if not isinstance(found, dict):
        raise ValueError(UNREADABLE)
    return {str(name): value for name, value in found.items() if isinstance(value, str)}


def _header(path: Path) -> tuple[dict[str, Any], int]:
    """The entries of the header, and where the tensors begin."""
    with path.open("rb") as file:
        first = file.read(8)
        length = int.from_bytes(first, "little")
        if not 2 <= length <= MOST_HEADER_BYTES:
            raise ValueError(_other_kind(first + file.read(FIRST_BYTES)))
        header = file.read(length)
    try:
        entries = strict_json(header.decode())
    except (ValueError, RecursionError, MemoryError):
        raise ValueError(UNREADABLE) from None
    if not isinstance(entries, dict):
        raise ValueError(UNREADABLE)
    return entries, 8 + length


def read_content(path: Path) -> Content:
    """Hashes the file and looks for numbers that are not finite, reading it once. Raises as `read_header` does."""
    tensors = read_header(path)
    digest, not_finite = hashlib.sha256(), None
    with path.open("rb") as file:
        digest.update(file.read(next((entry.begin for entry in tensors.values()), -1)))
        for name, entry in tensors.items():
            left = entry.end - entry.begin
            while left and (block := file.read(min(BLOCK, left))):
                digest.update(block)
                left -= len(block)
                if not_finite is None and not _is_finite(block, entry.dtype):
                    not_finite = name
    return Content(digest.hexdigest(), not_finite)


def shown(name: str) -> str:
    """A tensor's name as a message gives it; a file may hold names of any length."""
    return repr(name if len(name) <= 120 else f"{name[:120]}…")


def _entry(entry: Any, start: int) -> TensorEntry:
    dtype, shape, (begin, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
    if len(shape) > MOST_DIMENSIONS:
        raise ValueError("a tensor has more dimensions than any model's")
    if any(type(number) is not int or number < 0 for number in (*shape, begin, end)):
        raise ValueError("a size or an offset is no natural number")
    if end - begin != _BYTES[dtype] * math.prod(shape):
        raise ValueError("a tensor has more or fewer bytes than its shape takes")
    return TensorEntry(dtype, shape, start + begin, start + end)


def _is_finite(block: bytes, dtype: str) -> bool:
    if dtype not in _EXPONENTS:
        return True
    kind, exponent = _EXPONENTS[dtype]
    mask = kind(exponent)
    return not ((np.frombuffer(block, kind) & mask) == mask).any()


def _encodable(name: str) -> str:
    name.encode()  # raises ValueError for half of a surrogate pair, which no answer could hold
    return name


def _other_kind(first: bytes) -> str:
    """What the file may be, judged by its first bytes."""
    return PICKLE if _is_pickle(first) else "it does not begin with a header"


def _is_pickle(first: bytes) -> bool:
    zipped = first.startswith(b"PK\x03\x04") and b"data.pkl" in first
    return zipped or (first[:1] == b"\x80" and first[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"))
