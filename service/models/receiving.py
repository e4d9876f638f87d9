"""An upload while it arrives: written to a folder of its own under the artifact root, counted and hashed."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from fastapi.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from dpk_core import disk
from dpk_core.artifacts import PARTIAL
from service.problems import Rejected, TooLarge, Unavailable
from service.schemas import FieldError

BLOCK = 2**20
"""Bytes that are gathered before a thread writes them."""
FORGOTTEN_SECONDS = 86_400
"""After this a folder or a partial file was left by a crash."""


@dataclass(frozen=True, slots=True)
class Received:
    """A whole upload. `folder` is its own, and goes when the request is over."""

    folder: Path
    file: Path
    sha256: str
    bytes: int


@asynccontextmanager
async def received(stream: AsyncIterator[bytes], incoming: Path, most_bytes: int) -> AsyncIterator[Received]:
    """Takes in the stream for the block.

    Raises TooLarge as soon as it is beyond `most_bytes`, Rejected where it is empty or cut off, Unavailable where the
    disk takes no more.
    """
    folder = await run_in_threadpool(_new_folder, incoming)
    try:
        yield await _take(stream, folder, most_bytes)
    finally:
        await run_in_threadpool(shutil.rmtree, folder, ignore_errors=True)


async def _take(stream: AsyncIterator[bytes], folder: Path, most_bytes: int) -> Received:
    digest, size, block = hashlib.sha256(), 0, bytearray()
    target = folder / "upload"
    try:
        with target.open("wb") as file:
            async for chunk in stream:
                block += chunk
                size += len(chunk)
                if size > most_bytes:
                    raise TooLarge(
                        f"The file is larger than {most_bytes // 2**20} MiB, the server's DPK_MODEL_MEGABYTES."
                    )
                if len(block) >= BLOCK:
                    digest.update(block)
                    await run_in_threadpool(file.write, bytes(block))
                    block.clear()
            digest.update(block)
            await run_in_threadpool(file.write, bytes(block))
    except ClientDisconnect:
        raise Rejected.at("body", "The upload was cut off.") from None
    except OSError as error:
        raise no_room(error, folder.parent) from error
    if size == 0:
        raise Rejected.at("body", "The body is empty; send a file that torch.export.save or torch.onnx.export wrote.")
    return Received(folder, target, digest.hexdigest(), size)


def _new_folder(incoming: Path) -> Path:
    try:
        incoming.mkdir(parents=True, exist_ok=True)
        _remove_forgotten(incoming)
        return Path(tempfile.mkdtemp(dir=incoming))
    except OSError as error:
        raise no_room(error, incoming) from error


def _remove_forgotten(incoming: Path) -> None:
    """Removes what requests left that were killed: their folders, and files that were being put in place."""
    newest = time.time() - FORGOTTEN_SECONDS
    for old in (*incoming.iterdir(), *incoming.parent.glob(f"*/*{PARTIAL}")):
        with suppress(OSError):  # another request removes the same
            if old.stat().st_mtime < newest:
                shutil.rmtree(old) if old.is_dir() else old.unlink()


def no_room(error: OSError, place: Path) -> Unavailable:
    """What is answered where files cannot be kept."""
    message = disk.sentence(error, f"artifact root {place}")
    return Unavailable(message, [FieldError(field="artifacts", message=message)])
