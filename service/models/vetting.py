"""The check of an upload, in a child process: it has torch and reads a file that may be hostile; this process does
neither.

The child gets an empty folder, an environment without settings or credentials, and limits that it sets on itself
(`dpk_core.exported.confinement`); here its time is limited too.
"""

from __future__ import annotations

import json
import logging
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio

from dpk_core import confined
from dpk_core.catalogue.own_models import OwnModel
from dpk_core.codec import from_json
from service.models.receiving import Received, no_room
from service.problems import Rejected, Unavailable
from service.schemas import FieldError

SECONDS = 300.0
"""A check that takes longer is ended, and its file refused."""
AT_ONCE = 2
"""Checks side by side; each takes gigabytes at worst."""
WAIT_SECONDS = 60.0
KEPT = "program.safetensors"
"""What the child writes into the upload's folder."""
LAST_LINES = 5
"""Of what a check wrote before it died, for the log."""

_turns = anyio.Semaphore(AT_ONCE)

_log = logging.getLogger(__name__)


@asynccontextmanager
async def turn() -> AsyncIterator[None]:
    """Waits until a check may begin. It waits on the event loop: threads are for requests that have something to do.

    Raises Unavailable where no check ends in time.
    """
    with anyio.move_on_after(WAIT_SECONDS) as waiting:
        await _turns.acquire()
    if waiting.cancelled_caught:
        raise _unavailable("Other files are being checked; send it again in a minute.")
    try:
        yield
    finally:
        _turns.release()


def vetted(name: str, upload: Received) -> OwnModel:
    """The document of the upload; what is to be kept of it lies in its folder as `KEPT`. Its caller has a `turn`.

    Raises Rejected with what is wrong with the file, Unavailable where this server cannot check files now.
    """
    answer = _ask(name, upload)
    if "disk" in answer:
        raise no_room(OSError(*answer["disk"]), upload.folder.parent)
    if "refused" in answer:
        raise Rejected.at("body", f"The file is refused: {answer['refused']}.")
    return from_json(OwnModel, answer)


def _ask(name: str, upload: Received) -> dict[str, Any]:
    arguments = [name, f"sha256:{upload.sha256}", str(upload.file), str(upload.folder / KEPT)]
    try:
        done = confined.run("dpk_core.exported.check", arguments, upload.folder, SECONDS)
    except subprocess.TimeoutExpired:
        return {"refused": f"it was not checked within {SECONDS:.0f} seconds"}
    if done.returncode == 0:
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return answer
    for package in ("torch", "onnx"):
        if f"No module named '{package}'".encode() in done.stderr:
            raise _unavailable(
                f"This server has no {package}, which checks such uploads; docs/own-models.md says how to add it."
            )
    said = done.stderr.decode(errors="replace").splitlines()[-LAST_LINES:]
    _log.warning("The check of %s died with exit status %d: %s", name, done.returncode, " | ".join(said))
    return {"refused": "its check died, as of a file that needs more memory or time than a check is given"}


def _unavailable(message: str) -> Unavailable:
    return Unavailable(message, [FieldError(field="body", message=message)])
