"""A job's leaderboard: a finished job's is read from the store, a running one's is made when something has changed.

A finished job's board stays as it is until somebody names the job or lets it run again, so it is made once, by whoever
reads it first after the end, and stored as it is sent. Boards of an older `VERSION` of our words are made anew.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from time import monotonic
from typing import Any

from cachetools import LRUCache
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from dpk_core.codec import to_json
from service.conditional import etag
from service.database.faults import FAULTS, words
from service.database.session import reading, transaction
from service.database.tables import Board
from service.health import service as health
from service.leaderboards import repository
from service.leaderboards.board import leaderboard as build
from service.leaderboards.earlier import Earlier, earlier
from service.leaderboards.samples import samples
from service.presentation import VERSION
from service.scheduling import repository as scheduling
from service.scheduling.snapshot import OVER
from service.selection_jobs.service import job_of, tag_of
from service.selection_jobs.views import current_verdict, job_view, read_uploads
from service.wire.boards import Leaderboard

TRUSTED_SECONDS = 1.0
"""For so long a finished job's board is sent without a look at the database, where another process may have let the job
run again."""
BYTES_KEPT = 64 * 2**20
"""Of boards that a process keeps in memory, as they are sent."""


@dataclass(slots=True)
class Made:
    """A board as it is sent, with its tag. `final`: it stays as it is while the job has this `revision`, which was
    looked at last at the moment `seen` of the process's clock."""

    etag: str
    body: bytes
    revision: int
    final: bool = False
    seen: float = field(default_factory=monotonic)

    def leaderboard(self) -> Leaderboard:
        """The board as an object, read anew each time: kept, it would take about five times the memory of its JSON."""
        return Leaderboard.model_validate_json(self.body)


_log = logging.getLogger(__name__)
_kept: LRUCache[str, Made] = LRUCache(BYTES_KEPT, getsizeof=lambda made: len(made.body))
_lock = Lock()


def final(job_id: str) -> Made | None:
    """A finished job's board if this process has it in memory and has looked whether it holds just now."""
    with _lock:
        made = _kept.get(job_id)
    return made if made is not None and made.final and monotonic() - made.seen < TRUSTED_SECONDS else None


def forget(job_id: str) -> None:
    """Lets go of what this process keeps of a job that is changed."""
    with _lock:
        _kept.pop(job_id, None)


def made(job_id: str) -> Made:
    """The board as it is now. Opens its own transactions, as it may have to store it. Raises NotFound."""
    with _lock:
        kept = _kept.get(job_id)
    known: Earlier | None = None
    with reading() as session:
        if kept is not None and kept.final and kept.revision == repository.revision(session, job_id):
            kept.seen = monotonic()
            return kept
        if (row := repository.stored(session, job_id, VERSION)) is not None:
            now = Made(row.etag, row.document.encode(), row.revision, final=True)
        else:
            tag = tag_of(session, job_id)
            if kept is not None and kept.etag == tag:
                return kept
            now, known = _make(session, job_id, tag)
    if known is not None and (now.final or known.new):
        _store(job_id, now, known)
    with _lock:
        if len(now.body) <= BYTES_KEPT:
            _kept[job_id] = now
    return now


def answer(job_id: str) -> Mapping[str, Any]:
    """What best teacher gives of a finished job's board: verdict, and `expected` and `gain` of the teacher to take."""
    with reading() as session:
        stored = repository.stored_answer(session, job_id, VERSION)
    return _answer(made(job_id).leaderboard()) if stored is None else stored


def _make(session: Session, job_id: str, tag: str) -> tuple[Made, Earlier]:
    snapshot = scheduling.snapshot(session, job_of(session, job_id))
    read_uploads(session, [snapshot])
    verdict = scheduling.newest_verdicts(session, [job_id]).get(job_id)
    known = earlier(session, snapshot.job, snapshot.plan)
    said = current_verdict(snapshot, verdict)
    board = build(
        snapshot,
        job_view(
            snapshot,
            verdict,
            health.slots(session),
            health.missing_worker(session),
            scheduling.tags(session, [job_id])[job_id],
        ),
        said,
        scheduling.measurements(session, snapshot),
        scheduling.measured(session, snapshot),
        known,
        samples(snapshot, said),
    )
    is_final = snapshot.job.state == "finished" and all(run.state in OVER for _, run in snapshot.links)
    body = board.model_dump_json().encode()
    tag = etag(VERSION, body.decode()) if is_final else tag
    return Made(tag, body, snapshot.job.revision, is_final), known


def _store(job_id: str, now: Made, known: Earlier) -> None:
    """A reader must not fail because nothing can be stored: the next one then makes the same again."""
    said = _answer(now.leaderboard()) if now.final else {}  # before the transaction, as it reads a whole board
    try:
        with transaction() as session:
            for key, judgement in known.new.items():
                repository.store_judgement(session, key, to_json(judgement))
            # Not where the job has been let run again, or named anew, in the meantime.
            if now.final and scheduling.locked_revision(session, job_id) == now.revision:
                repository.store(session, Board(
                    job_id=job_id, version=VERSION, etag=now.etag, document=now.body.decode(),
                    answer=said,
                ))  # fmt: skip
    except IntegrityError:
        return  # Another process has stored the same in the meantime.
    except FAULTS as error:
        _log.warning("A leaderboard was made and could not be stored: %s", words(error))
        return
    known.new.clear()


def _answer(board: Leaderboard) -> dict[str, Any]:
    verdict = board.verdict
    assert verdict is not None, "a finished job has one"
    taken = next((row for row in board.rows if row.teacher == verdict.best), None) if verdict.best else None
    document: dict[str, Any] = {
        "verdict": verdict.model_dump(mode="json"),
        "expected": None if taken is None or taken.expected is None else taken.expected.model_dump(mode="json"),
        "gain": None if taken is None or taken.gain is None else taken.gain.model_dump(mode="json"),
    }
    return document
