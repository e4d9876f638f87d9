"""Pre-flight over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body

from service.parameters import NO_PARAMETERS
from service.preflight import service
from service.preflight.schemas import Preflight
from service.problems import responses
from service.selection_jobs import examples
from service.wire.jobs import SelectionJobRequest

router = APIRouter(tags=["selection jobs"])


@router.post(
    "/preflight", operation_id="check_request", summary="What a job would come to", dependencies=NO_PARAMETERS,
    responses=responses(422),
)  # fmt: skip
def preflight(request: Annotated[SelectionJobRequest, Body(openapi_examples=examples.REQUESTS)]) -> Preflight:
    """The same checks as a submission's, and what it would cost; nothing is made."""
    return service.preflight(request)
