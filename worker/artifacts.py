"""Where a claim's files go, and which files nobody needs any more.

Names carry run and fence, so a worker that lost its claim overwrites nothing.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections import defaultdict
from pathlib import Path

from dpk_core.artifacts import PARTIAL
from dpk_core.protocol import Checkpoint, RunCommand, RunResult
from service.database.faults import FAULTS
from service.database.session import reading, transaction
from service.runs import leftovers, output, repository
from service.runs.claims import Claim
from service.settings import Settings

_CLAIM = re.compile(r"(?P<run>[0-9a-f]{32})-f(?P<fence>\d+)\D")
"""How the files of a claim begin, see `run_command`."""
_CHECKPOINT = re.compile(r"(?P<run>[0-9a-f]{32})-f(?P<fence>\d+)-(?P<step>\d+)\.pt")

_log = logging.getLogger(__name__)


def run_command(claim: Claim, settings: Settings) -> RunCommand:
    """What the runner is asked to do."""
    key = claim.spec.training.key()
    fenced = f"{claim.run_id}-f{claim.fence}"
    return RunCommand(
        run_id=claim.run_id,
        spec=claim.spec,
        artifact_root=str(settings.resolved_artifact_root),
        checkpoint_prefix=f"checkpoints/{key[:2]}/{key}/{fenced}",
        weights_path=f"weights/{key[:2]}/{key}/{fenced}.safetensors",
        teacher_weights=claim.teacher_weights,
        resume=claim.resume,
        earlier_seconds=claim.earlier_seconds,
        known_scores=claim.known_scores,
        uploads=claim.uploads,
        data_root=None if settings.data_root is None else str(settings.data_root.absolute()),
        weights_root=None if settings.weights_root is None else str(settings.weights_root.absolute()),
        checkpoint_seconds=settings.checkpoint_seconds,
    )


def remove_older_checkpoints(recorded: Checkpoint, settings: Settings, result: RunResult | None = None) -> None:
    """Deletes checkpoints that claims of the run up to this one wrote before `recorded`, which the database names.

    Later steps stay, whoever wrote them: their record may be on its way, in a report or in the spool. With the run's
    `result` all others go, and that of a complete training too, which leaves its weights. A file that cannot be removed
    costs room, not the training.
    """
    last = settings.resolved_artifact_root / recorded.file.path
    kept = None if result is not None and result.weights is not None else last
    newest = _CHECKPOINT.fullmatch(last.name)
    assert newest is not None, "a checkpoint of a claim"
    try:
        for path in last.parent.glob(f"{newest['run']}-f*"):
            if path != kept and (result is not None or _is_older(path, newest)):
                path.unlink(missing_ok=True)
    except OSError as error:
        _log.warning("Older checkpoints of run %s stay: %s", newest["run"], error)


def _is_older(path: Path, newest: re.Match[str]) -> bool:
    found = _CHECKPOINT.fullmatch(path.name)
    if found is None or int(found["fence"]) > int(newest["fence"]):
        return False
    return int(found["step"]) < int(newest["step"])


def remove_partial_files(settings: Settings) -> None:
    """Deletes half-written files of claims that nobody holds. Those of another worker that lives are left alone.

    The files are listed before the database is asked, so a claim that is taken meanwhile has none among them.
    """
    root, old = settings.resolved_artifact_root, time.time() - settings.lease_seconds
    names = (Path(folder, name) for folder, _, files in os.walk(root) for name in files if name.endswith(PARTIAL))
    found = [(path, match) for path in names if (match := _CLAIM.match(path.name))]
    if not found:
        return
    try:
        with reading() as session:
            held = repository.running_fences(session, {match["run"] for _, match in found})
        for path, match in found:
            if held.get(match["run"]) != int(match["fence"]) and path.stat().st_mtime < old:
                path.unlink(missing_ok=True)
                _log.info("Removed %s, which was never finished.", path.name)
    except (*FAULTS, OSError) as error:
        _log.warning("Half-written files stay until a worker starts: %s", error)


def remove_leftovers(settings: Settings) -> None:
    """Deletes checkpoints and weights of runs that are over which their rows do not name: what lost or broken claims
    left, and checkpoints that nobody can go on from. Files of runs that the database does not know are left alone.

    The files are listed before the database is asked, so that none is deleted whose record comes meanwhile.
    """
    root = settings.resolved_artifact_root
    try:
        found = _files_by_run(root)
        _let_go()
        with reading() as session:
            named = repository.named_files(session, list(found))
        unneeded = [
            path for run_id, names in named.items() for path in found[run_id]
            if path.relative_to(root).as_posix() not in names
        ]  # fmt: skip
        for path in unneeded:
            path.unlink(missing_ok=True)
        if unneeded:
            _log.info("Removed %d files of runs that are over.", len(unneeded))
    except (*FAULTS, OSError) as error:
        _log.warning("Files that nobody needs stay until the next look: %s", error)


def _let_go() -> None:
    """Reads apart from writing: to read all runs that are over takes long, and a writer locks all of SQLite."""
    with reading() as session:
        unneeded = leftovers.unneeded(session)
    if unneeded:
        with transaction() as session:
            repository.drop_checkpoints(session, unneeded)


def remove_old_logs(settings: Settings) -> None:
    """Deletes what the training processes of workers that left long ago have written, see `output.remove_old`."""
    try:
        with reading() as session:
            workers = repository.worker_ids(session)
        output.remove_old(settings.home, workers)
    except (*FAULTS, OSError) as error:
        _log.warning("Old logs stay until the next look: %s", error)


def _files_by_run(root: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = defaultdict(list)
    for folder in ("checkpoints", "weights"):
        for path in (root / folder).rglob("*"):
            if (match := _CLAIM.match(path.name)) and path.suffix != PARTIAL:
                found[match["run"]].append(path)
    return found
