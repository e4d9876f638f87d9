"""The check of an upload, in a child process: it has torch and reads a file that may be hostile; this process does
neither.

The child gets an empty folder, an environment without settings or credentials, and limits that it sets on itself
(`dpk_core.exported.confinement`); here its time is limited too.
"""

from __future__ import annotations

import json
import subprocess
import threading
from typing import Any

from dpk_core import confined
from dpk_core.catalogue.own_models import OwnModel
from dpk_core.codec import from_json
from service.models.receiving import Received
from service.problems import Rejected, Unavailable
from service.schemas import FieldError

SECONDS = 300.0
"""A check that takes longer is ended, and its file refused."""
AT_ONCE = 2
"""Checks side by side; each takes gigabytes at worst."""
WAIT_SECONDS = 60.0
KEPT = "program.safetensors"
"""What the child writes into the upload's folder."""

_room = threading.BoundedSemaphore(AT_ONCE)


def vetted(name: str, upload: Received) -> OwnModel:
    """The document of the upload; what is to be kept of it lies in its folder as `KEPT`.

    Raises Rejected with what is wrong with the file, Unavailable where this server cannot check files now.
    """
    if not _room.acquire(timeout=WAIT_SECONDS):
        raise _unavailable("Other files are being checked; send it again in a minute.")
    try:
        answer = _ask(name, upload)
    finally:
        _room.release()
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
    return {"refused": "its check died, as of a file that needs more memory or time than a check is given"}


def _unavailable(message: str) -> Unavailable:
    return Unavailable(message, [FieldError(field="body", message=message)])
