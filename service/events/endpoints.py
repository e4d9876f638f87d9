"""A job's events over HTTP (server-sent events)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Header, Path, Query, Request
from fastapi.responses import Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import Field

from service.events import service
from service.parameters import Parameters
from service.problems import responses

RETRY_MILLISECONDS = 1000
GREATEST_ID = 2**31 - 1
"""Of a row's number; a greater one is no event of ours, and SQLite cannot even compare with some."""

EXAMPLE = """event: stage_changed
data: {"id": 7, "kind": "stage_changed", "data": {"stage": "exploring"}, "created_at": "2026-01-05T09:00:20Z"}
id: 7

"""

router = APIRouter(prefix="/selection-jobs", tags=["selection jobs"])

JobId = Annotated[str, Path(max_length=32, description="A job's id.")]


class EventParameters(Parameters):
    """Where to go on."""

    after: int = Field(default=0, ge=0, le=GREATEST_ID, description="The same for clients that cannot send headers.")


class NothingMore(Exception):
    """The stream that is asked for has ended before it begins; 204 tells an EventSource not to come back."""


def resume_point(
    job_id: JobId,
    last_event_id: Annotated[
        int | None,
        Header(alias="Last-Event-ID", ge=0, le=GREATEST_ID, description="Sent by an EventSource that connects again."),
    ] = None,
    *,
    asked: Annotated[EventParameters, Query()],
) -> int:
    """The event after which the stream goes on. Raises NotFound, or NothingMore, before any of it is sent."""
    place = asked.after if last_event_id is None else last_event_id
    if service.is_over(job_id, place):
        raise NothingMore
    return place


@router.get(
    "/{job_id}/events", operation_id="follow_events", summary="A job's events as they happen",
    response_class=EventSourceResponse,
    responses={
        200: {
            "description": "Each event's `data` is a JSON object of id, kind, data and created_at. Comments are pings.",
            "content": {"text/event-stream": {"example": EXAMPLE}},
        },
        204: {"description": "The job is over and the client has had its last event."},
        **responses(404),
    },
)  # fmt: skip
async def follow(
    request: Request, job_id: JobId, place: Annotated[int, Depends(resume_point)]
) -> AsyncIterator[ServerSentEvent]:
    """Goes on after `Last-Event-ID`, and ends with the last event of a job that finished, failed or was cancelled."""
    yield ServerSentEvent(comment="events follow", retry=RETRY_MILLISECONDS)
    async for event in service.follow(job_id, place, request.app.state.closing.is_set):
        yield ServerSentEvent(data=event, event=event.kind, id=str(event.id))


def install(app: FastAPI) -> None:
    """Lets a stream end before it begins."""
    app.add_exception_handler(NothingMore, _nothing_more)


async def _nothing_more(_request: Request, _error: Exception) -> Response:
    return Response(status_code=204)
