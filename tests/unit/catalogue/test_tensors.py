"""Headers of safetensors files, whole and broken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from dpk_core.catalogue.tensors import names_digest, tensor_shapes


def write(path: Path, header: bytes, body: bytes = b"", length: int | None = None) -> Path:
    path.write_bytes((len(header) if length is None else length).to_bytes(8, "little") + header + body)
    return path


def test_what_the_library_writes_is_read(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(2, 3), "b": torch.zeros(())}, tmp_path / "w", metadata={"note": "n"})
    assert tensor_shapes(tmp_path / "w") == {"a": (2, 3), "b": ()}


@pytest.mark.parametrize(
    ("header", "length", "reason"),
    [
        (b"", 0, "does not begin with a header"),
        (b"{}", 2**40, "does not begin with a header"),
        (b"not JSON", None, "header cannot be read"),
        (b"[1, 2]", None, "header cannot be read"),
        (b'{"a": {"shape": [2]}}', None, "header cannot be read"),
        (json.dumps({"a": {"shape": [2], "data_offsets": [0, 8]}}).encode(), None, "not whole"),
    ],
)
def test_anything_else_is_refused(tmp_path: Path, header: bytes, length: int | None, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        tensor_shapes(write(tmp_path / "w", header, b"four", length))


def test_a_digest_is_of_the_set_of_names() -> None:
    assert names_digest(["a", "b"]) == names_digest({"b": 1, "a": 2}) != names_digest(["a"])
