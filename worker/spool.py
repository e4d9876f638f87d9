"""How runs ended while the database was away: files that whichever worker is there delivers when it is back.

A file `spool/<run>-f<fence>.json` under the artifact root is one `Ended`, written whole. Workers of one artifact root
share the folder, so a worker also delivers what one before it, or one on another machine, has left. What is done with a
late end is decided in `service.runs.delivery`.
"""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from pathlib import Path

from dpk_core import artifacts
from dpk_core.codec import from_json, to_json
from dpk_core.errors import DiskFault
from dpk_core.protocol import Failed, Finished
from service.database.faults import FAULTS, is_away, words
from service.database.session import transaction
from service.runs import service as runs
from service.runs.claims import Ended
from service.runs.delivery import deliver
from service.settings import Settings
from worker.artifacts import remove_older_checkpoints

FOLDER = "spool"
BROKEN = ".broken"
"""Ending of a file that could not be delivered, kept for a person to look at."""

_log = logging.getLogger(__name__)


def keep(ended: Ended, settings: Settings) -> bool:
    """Writes the file; False when the disk refuses it."""
    path = f"{FOLDER}/{ended.run_id}-f{ended.fence}.json"
    try:
        artifacts.write(settings.resolved_artifact_root, path, json.dumps(to_json(ended)).encode())
    except DiskFault as fault:
        _log.error("The end of run %s could not be kept in the spool: %s", ended.run_id, fault)
        return False
    return True


def deliver_all(settings: Settings) -> int:
    """Delivers every file, as long as the database answers; returns how many ends were stored."""
    stored = 0
    for path in _files(settings.resolved_artifact_root / FOLDER):
        try:
            stored += _deliver(path, settings)
        except FileNotFoundError:
            continue  # another worker was faster
        except OSError as error:
            _log.warning("The spooled end %s cannot be read: %s", path, error)
        except Exception as error:
            if isinstance(error, FAULTS) and is_away(error):
                _log.warning("Spooled ends wait for the database: %s", words(error))
                break
            _log.exception("The spooled end %s could not be delivered and is set aside as %s.", path.name, BROKEN)
            with suppress(OSError):
                path.rename(path.with_name(path.name + BROKEN))
    return stored


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == ".json")
    except OSError:  # there is no spool yet, or its disk is lost, which those who write will say
        return []


def _deliver(path: Path, settings: Settings) -> bool:
    ended = from_json(Ended, json.loads(path.read_bytes()))
    stored = False
    if missing := _missing_file(ended, settings.resolved_artifact_root):
        _log.warning("The spooled end of run %s is dropped: its file %s is missing.", ended.run_id, missing)
    else:
        with transaction() as session:
            stored = deliver(
                session, ended, max_attempts=settings.max_attempts, retry_seconds=settings.retry_seconds
            )  # fmt: skip
        _log.info("The spooled end of run %s was %s.", ended.run_id, "stored" if stored else "dropped")
    path.unlink(missing_ok=True)  # another worker, which found the run over, may have removed it since it was stored
    if stored:
        _follow_up(ended, settings)
    return stored


def _missing_file(ended: Ended, root: Path) -> str | None:
    """What the end needs and is not there any more: then the training is to be repeated."""
    if isinstance(ended.end, Failed):
        return None
    checkpoint, weights = ended.report.checkpoint, ended.end.result.weights if isinstance(ended.end, Finished) else None
    files = (None if checkpoint is None else checkpoint.file, weights)
    return next((file.path for file in files if file is not None and not (root / file.path).is_file()), None)


def _follow_up(ended: Ended, settings: Settings) -> None:
    if ended.report.checkpoint is not None:
        result = ended.end.result if isinstance(ended.end, Finished) else None
        remove_older_checkpoints(ended.report.checkpoint, settings, result)
    if ended.notices:
        try:
            with transaction() as session:
                runs.notify(session, ended.run_id, ended.notices)
        except FAULTS as error:
            _log.warning("Notices of run %s were not stored: %s", ended.run_id, words(error))
