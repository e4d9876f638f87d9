"""Whether the process lives, and whether it can serve."""

from __future__ import annotations

from fastapi import APIRouter, Request

from service.health.probe import Probe
from service.health.schemas import Alive, Readiness
from service.problems import responses

router = APIRouter(tags=["health"])


@router.get("/healthz", operation_id="is_alive", summary="Whether the process answers")
async def is_alive() -> Alive:
    """Touches nothing and waits for no thread, so that neither load nor a lost database gets the service restarted."""
    return Alive()


@router.get("/readyz", operation_id="is_ready", summary="Whether requests can be served", responses=responses(503))
async def is_ready(request: Request) -> Readiness:
    """Asks the database, its schema and the broker; 503 names the part that fails. Answers within ten seconds."""
    probe: Probe = request.app.state.readiness
    return await probe.ask()
