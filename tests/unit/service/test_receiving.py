"""Uploads while they arrive, and what killed ones left."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import anyio

from service.models.receiving import FORGOTTEN_SECONDS, received


def receive(incoming: Path) -> None:
    async def stream() -> AsyncIterator[bytes]:
        yield b"model"

    async def whole() -> None:
        async with received(stream(), incoming, 100) as upload:
            assert upload.bytes == 5

    anyio.run(whole)


def test_a_folder_that_another_request_just_removed_is_no_disk_trouble(tmp_path: Path) -> None:
    (tmp_path / "removed").symlink_to(tmp_path / "nowhere")  # listed, and not there when it is looked at
    receive(tmp_path)


def test_what_killed_uploads_left_is_removed_when_it_is_old(tmp_path: Path) -> None:
    incoming = tmp_path / "models" / "incoming"
    kept, partial = (
        tmp_path / "models" / "ab" / name for name in ("abc.safetensors", f"abc.safetensors.{'0' * 32}.partial")
    )
    young = partial.with_name(f"abc.safetensors.{'1' * 32}.partial")
    folder = incoming / "killed"
    for each in (kept, partial, young, folder / "upload"):
        each.parent.mkdir(parents=True, exist_ok=True)
        each.write_bytes(b"half")
    long_ago = time.time() - 2 * FORGOTTEN_SECONDS
    for each in (kept, partial, folder):
        os.utime(each, (long_ago, long_ago))
    receive(incoming)
    assert [each.exists() for each in (kept, partial, young, folder)] == [True, False, True, False]
