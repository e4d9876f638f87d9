"""Headers of safetensors files, whole, broken and made up; numbers that are not finite."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from dpk_core.catalogue import tensors
from dpk_core.catalogue.tensors import is_pytorch_file, read_content, read_header, shown

TWO = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def write(path: Path, header: bytes, body: bytes = b"", length: int | None = None) -> Path:
    path.write_bytes((len(header) if length is None else length).to_bytes(8, "little") + header + body)
    return path


def header(**entries: Any) -> bytes:
    return json.dumps(entries).encode()


def test_what_the_library_writes_is_read(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(2, 3), "b": torch.zeros((), dtype=torch.int64)}, tmp_path / "w", metadata={"note": "n"})
    found = read_header(tmp_path / "w")
    assert {name: (entry.dtype, entry.shape) for name, entry in found.items()} == {
        "a": ("F32", (2, 3)),
        "b": ("I64", ()),
    }


@pytest.mark.parametrize(
    ("content", "length", "reason"),
    [
        (b"", 0, "does not begin with a header"),
        (b"{}", 2**40, "does not begin with a header"),
        (b"{}", 90_000_000, "does not begin with a header"),
        (b"not JSON", None, "header cannot be read"),
        (b"[1, 2]", None, "header cannot be read"),
        (b"[" * 100_000, None, "header cannot be read"),
        (b'{"a": {"shape": [2]}}', None, "header cannot be read"),
        (b'{"a": NaN}', None, "header cannot be read"),
        (b'{"\xff": 1}', None, "header cannot be read"),
        (header(a={**TWO, "data_offsets": [0]}), None, "header cannot be read"),
        (header(a={**TWO, "data_offsets": [-8, 0]}), None, "header cannot be read"),
        (header(a={**TWO, "shape": [2.0]}), None, "header cannot be read"),
        (header(a={**TWO, "shape": [True, 2]}), None, "header cannot be read"),
        (header(a={**TWO, "shape": [3]}), None, "header cannot be read"),
        (header(a={**TWO, "shape": [2] * 100_000}), None, "header cannot be read"),
        (header(a={**TWO, "shape": [int("9" * 4000)]}), None, "header cannot be read"),
        (header(a={**TWO, "dtype": "F128"}), None, "header cannot be read"),
        (header(a={**TWO, "dtype": ["F32"]}), None, "header cannot be read"),
        (json.dumps({"\ud800": TWO}).encode(), None, "header cannot be read"),
        (b'{"a": %b, "a": %b}' % (json.dumps(TWO).encode(), json.dumps(TWO).encode()), None, "header cannot be read"),
        (header(a=TWO, b=TWO), None, "bytes of 'b' do not follow"),
        (header(a={**TWO, "data_offsets": [8, 16]}), None, "bytes of 'a' do not follow"),
        (header(a=TWO), None, "not whole"),
    ],
)  # fmt: skip
def test_anything_else_is_refused(tmp_path: Path, content: bytes, length: int | None, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_header(write(tmp_path / "w", content, b"four", length))


def test_a_pickle_is_named_and_never_read(tmp_path: Path) -> None:
    for name, zipped in (("w.pth", True), ("w.safetensors", True), ("old.pt", False)):
        state = {"state_dict": {"a": torch.zeros(2)}}
        torch.save(state, tmp_path / name, _use_new_zipfile_serialization=zipped)
        with pytest.raises(ValueError, match=r"it is a PyTorch file \(a pickle\)"):
            read_header(tmp_path / name)
        assert is_pytorch_file(tmp_path / name)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_is_found(dtype: torch.dtype, value: float, tmp_path: Path) -> None:
    fine, broken = torch.ones(7, dtype=dtype), torch.full((7,), torch.finfo(dtype).max, dtype=dtype)
    save_file({"a": fine, "b": broken, "n": torch.full((3,), -1)}, tmp_path / "w")
    content = read_content(tmp_path / "w")
    assert (content.sha256, content.not_finite) == (hashlib.sha256((tmp_path / "w").read_bytes()).hexdigest(), None)
    broken[6] = value
    save_file({"a": fine, "b": broken, "n": torch.full((3,), -1)}, tmp_path / "w")
    assert read_content(tmp_path / "w").not_finite == "b"


def test_a_large_tensor_is_read_block_by_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensors, "BLOCK", 16)
    numbers = torch.ones(11)
    save_file({"a": numbers}, tmp_path / "w")
    assert read_content(tmp_path / "w").sha256 == hashlib.sha256((tmp_path / "w").read_bytes()).hexdigest()
    numbers[10] = torch.inf
    save_file({"a": numbers}, tmp_path / "w")
    assert read_content(tmp_path / "w").not_finite == "a"


def test_a_long_name_is_cut_in_messages() -> None:
    assert shown("a") == "'a'"
    assert len(shown("a" * 10_000)) < 130
