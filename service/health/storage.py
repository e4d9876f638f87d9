"""Alarms about disks: those that workers report, and the ones this process sees itself."""

from __future__ import annotations

import shutil
from pathlib import Path

from sqlalchemy.orm import Session

from dpk_core.disk import machine
from service.health import repository
from service.settings import settings

LOW_BYTES = 64 * 2**20
"""A disk with less room than this is reported: a checkpoint and the database's next writes may not fit."""


def storage_alarms(session: Session, *, within_seconds: float) -> list[str]:
    """What troubles the workers heard of in the last `within_seconds`, and folders of this machine without room.

    A full disk may keep a worker's row from being written, hence the look at the folders.
    """
    reported = repository.reported_troubles(session, within_seconds)
    seen = [alarm for folder in (settings().home, settings().resolved_artifact_root) if (alarm := _low(folder))]
    return list(dict.fromkeys((*reported, *seen)))


def _low(folder: Path) -> str | None:
    present = next((path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir()), Path("/"))
    try:
        free = shutil.disk_usage(present).free
    except OSError as error:
        return f"The folder {folder} on {machine()} cannot be looked into: {error.strerror}."
    if free >= LOW_BYTES:
        return None
    return f"The disk is nearly full on {machine()} ({folder}): {free // 2**20} MB are left. Free space there."
