"""Results obtained elsewhere over HTTP."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field

from service.database.dependencies import Reading, Writing
from service.imported_results import service
from service.imported_results.schemas import Imported, ImportedRows, ImportRequest
from service.parameters import NO_PARAMETERS, Parameters
from service.problems import responses

router = APIRouter(prefix="/imported-results", tags=["imported results"])


class ImportedParameters(Parameters):
    """Whose results."""

    student: str = Field(max_length=400, examples=["cifar/resnet8w4"])
    dataset: str = Field(max_length=200, examples=["digits"])


@router.post(
    "", operation_id="import_results", summary="Store results from elsewhere", dependencies=NO_PARAMETERS,
    responses=responses(409),
)  # fmt: skip
def add(session: Writing, asked: ImportRequest) -> Imported:
    """They get a protocol of their own, made of `source` and `settings`. Nothing is decided by them: no job, verdict,
    belief or best teacher takes them in. The same results again change nothing, and a score that a training lacked is
    filled in. Another score of the same training is refused (409) until its protocol is removed; two scores of one
    training in the request are an error in it (422)."""
    return service.add(session, asked)


@router.get("", operation_id="list_imported_results", summary="Results from elsewhere, by protocol")
def rows(session: Reading, asked: Annotated[ImportedParameters, Query()]) -> ImportedRows:
    """A row for each protocol, method, teacher and number of epochs, with the mean over seeds."""
    return service.rows(session, asked.student, asked.dataset)


@router.delete(
    "/{stamp}", operation_id="remove_imported_results", summary="Forget a protocol's results", status_code=204,
    response_class=Response, dependencies=NO_PARAMETERS, responses=responses(404),
)  # fmt: skip
def remove(session: Writing, stamp: Annotated[str, Path(pattern="^[0-9a-f]{8}$")]) -> Response:
    """All results with this stamp, of every student."""
    service.remove(session, stamp)
    return Response(status_code=HTTPStatus.NO_CONTENT)
