"""Whether the process lives, and whether it can serve."""

from __future__ import annotations

from fastapi import APIRouter

from service.health import service
from service.health.schemas import Alive, Readiness
from service.problems import responses

router = APIRouter(tags=["health"])


@router.get("/healthz", operation_id="is_alive", summary="Whether the process answers")
def is_alive() -> Alive:
    """Touches nothing else, so that a database that is down does not get the service restarted."""
    return Alive()


@router.get("/readyz", operation_id="is_ready", summary="Whether requests can be served", responses=responses(503))
def is_ready() -> Readiness:
    """Asks the database, its schema and the broker; 503 names the part that fails."""
    return service.readiness()
