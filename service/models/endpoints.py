"""Models over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import Field

from dpk_core.catalogue.plugins import PLAIN_NAME
from service.models import service
from service.models.receiving import received
from service.models.schemas import ModelList, ModelView, Source
from service.models.vetting import turn
from service.parameters import Parameters
from service.problems import responses
from service.settings import settings

router = APIRouter(prefix="/models", tags=["models"])


class ListParameters(Parameters):
    """Which models to list."""

    search: str = Field(default="", max_length=100, description="Words that the name has.", examples=["resnet18"])
    source: Source | None = Field(default=None, description="`own`: uploads; `plugin`: installed packages.")
    limit: int = Field(default=50, ge=1, le=200)
    after: str = Field(default="", max_length=200, description="`next_after` of the page before.")


class AddParameters(Parameters):
    """What to call an upload."""

    name: str = Field(
        pattern=f"^{PLAIN_NAME.pattern}$", examples=["student"],
        description="Lower-case letters, digits, _ and -; the first digits of the file's SHA-256 are put behind it.",
    )  # fmt: skip


@router.get("", operation_id="list_models", summary="Models by name")
def list_models(asked: Annotated[ListParameters, Query()]) -> ModelList:
    """Models of the libraries, of installed plug-ins and uploads, with what is known of them before any training."""
    return service.list_models(search=asked.search, source=asked.source, limit=asked.limit, after=asked.after)


@router.post(
    "", operation_id="add_model", summary="Upload a network", status_code=201,
    responses={
        200: {"model": ModelView, "description": "The same file is there under this name already."},
        **responses(409, 413, 422, 503),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)  # fmt: skip
async def add(request: Request, response: Response, asked: Annotated[AddParameters, Query()]) -> ModelView:
    """Takes the file that `torch.export.save` wrote (.pt2), or a CNN as ONNX, and checks it before it is kept. Its
    parameters may be used (`own/NAME@own`) or drawn anew (`own/NAME`); docs/own-models.md says how to export."""
    incoming = settings().resolved_artifact_root / "models" / "incoming"
    async with received(request.stream(), incoming, settings().model_megabytes * 2**20) as upload:
        known = await run_in_threadpool(service.added, asked.name, upload)
        if known is not None:
            response.status_code = 200
            return known
        async with turn():
            model, is_new = await run_in_threadpool(service.add, asked.name, upload)
    response.status_code = 201 if is_new else 200
    return model
