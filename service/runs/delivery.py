"""Stores how a claim ended when that could not be stored in time ([decision 15](docs/decisions/0015-spool.md)).

A training that reached its end gives the same numbers whoever carried it out, so a result that comes late is as good as
the one that another worker would find. One transaction decides, with the row locked:

| the run | what is done with a late end |
|---|---|
| is running under the end's fence | it is stored, as in time |
| is queued or running under another fence | a result, or a failure that would come again, is stored under a new fence |
| is queued, and nobody has claimed it since | also the checkpoint of a training that stopped |
| the same, and its cancellation is asked for | it is dropped |
| is over, or is not known | it is dropped: a final row never changes |
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy.orm import Session

from dpk_core.codec import from_json
from dpk_core.protocol import Finished, Stopped
from dpk_core.spec import RunSpec
from service.database.tables import Run
from service.runs import repository, service
from service.runs.claims import Claim, Ended
from service.runs.tries import RULES, Then


def deliver(session: Session, ended: Ended, *, max_attempts: int, retry_seconds: float = 0.0) -> bool:
    """Stores the end of a claim, or drops it. Returns whether it was stored; to do it again changes nothing."""
    run = repository.locked_if_known(session, ended.run_id)
    if run is None or run.state not in ("queued", "running"):
        return False
    claim = _claim(run, ended)
    if not (run.state == "running" and run.fence == ended.fence):
        if run.cancel_requested or not _is_still_of_use(run, ended):
            return False
        run.state, run.fence = "running", run.fence + 1
        session.flush()
        claim = replace(claim, fence=run.fence)
    service.report(session, claim, replace(ended.report, notices=ended.notices), lease_seconds=0.0)
    if isinstance(ended.end, Finished):
        return service.finish(session, claim, ended.end.result)
    if isinstance(ended.end, Stopped):
        return service.release(session, claim)
    kind, message = ended.end.kind, ended.end.message
    return service.fail(session, claim, kind, message, max_attempts=max_attempts, retry_seconds=retry_seconds)


def _is_still_of_use(run: Run, ended: Ended) -> bool:
    if isinstance(ended.end, Stopped):
        return run.fence == ended.fence  # whoever has claimed it since goes on from an earlier checkpoint
    return isinstance(ended.end, Finished) or RULES[ended.end.kind] is Then.END


def _claim(run: Run, ended: Ended) -> Claim:
    return Claim(
        run_id=run.id, fence=ended.fence, spec=from_json(RunSpec, run.spec), resume=None,
        earlier_seconds=ended.earlier_seconds, furthest=service.furthest_step(run),
        known_scores=None, teacher_weights=None,
    )  # fmt: skip
