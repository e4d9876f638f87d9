"""The numbers of an archive: raw bytes with a stated type and shape, which must agree to the byte."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dpk_core.exported.archive import Archive, Refused

DTYPES = {
    1: ("uint8", 1), 2: ("int8", 1), 3: ("int16", 2), 4: ("int32", 4), 5: ("int64", 8), 6: ("float16", 2),
    7: ("float32", 4), 8: ("float64", 8), 12: ("bool", 1), 13: ("bfloat16", 2),
}  # fmt: skip
"""torch.export's numbers of types, with torch's names and their bytes."""
FLOATING = frozenset({"float16", "float32", "float64", "bfloat16"})
MOST_DIMENSIONS = 8
_PATH = re.compile(r"(?:weight|tensor)_\d{1,6}")


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor in the archive. `strides`: in numbers; together they fill `path` without gaps."""

    path: str
    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def stored_tensors(archive: Archive, config: str, folder: str) -> Mapping[str, Stored]:
    """The tensors that a configuration file of the archive lists, by name. Raises Refused."""
    if config not in archive.members:
        return {}
    entries = archive.document(config)["config"]
    return {name: _stored(archive, folder, name, entry) for name, entry in entries.items()}


def _stored(archive: Archive, folder: str, name: str, entry: Any) -> Stored:
    path = entry["path_name"]
    if entry["use_pickle"] is not False or not isinstance(path, str) or not _PATH.fullmatch(path):
        raise Refused(
            f"{name[:80]!r} in it is pickled or no plain tensor; only parameters, buffers and tensors are taken"
        )
    meta = entry["tensor_meta"]
    if meta["dtype"] not in DTYPES or meta["layout"] != 7:
        raise Refused(f"{name[:80]!r} in it is of a type or layout that is not taken; convert it to float32, strided")
    dtype, size = DTYPES[meta["dtype"]]
    shape, strides = _numbers(name, meta["sizes"]), _numbers(name, meta["strides"])
    place = f"{folder}/{path}"
    if place not in archive.members:
        raise Refused(f"it has no {place}, which holds {name[:80]!r}")
    if archive.members[place].file_size != math.prod(shape) * size or _numbers(name, [meta["storage_offset"]]) != (0,):
        raise Refused(
            f"{name[:80]!r} in it has not as many bytes as its shape {list(shape)} takes; save tensors that own their "
            "memory (clone views)"
        )
    if not _is_dense(shape, strides):
        raise Refused(f"{name[:80]!r} in it has strides that leave gaps or overlap; save it contiguous")
    return Stored(place, dtype, shape, strides)


def _numbers(name: str, sizes: Any) -> tuple[int, ...]:
    found = tuple(size["as_int"] for size in sizes)
    if len(found) > MOST_DIMENSIONS or any(type(number) is not int or not 0 <= number < 2**40 for number in found):
        raise Refused(f"the shape of {name[:80]!r} in it is no list of at most {MOST_DIMENSIONS} natural numbers")
    return found


def _is_dense(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Whether every number has one place and every place one number: a permutation of a contiguous tensor."""
    if len(shape) != len(strides):
        return False
    full, expected = math.prod(shape), 1
    for stride, size in sorted(pair for pair in zip(strides, shape, strict=True) if pair[1] != 1):
        if stride != expected and full:
            return False
        expected *= size
    return True
