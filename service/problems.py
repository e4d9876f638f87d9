"""Every error the API answers with, as problem details (RFC 9457); the one place that knows HTTP statuses of errors.

ServiceError
├── CrossSite     403   a browser sends this for a page of another server
├── NotFound      404   there is no such thing
│   └── StillRunning  404   … yet: a job that may answer is under way
├── Conflict      409   the thing's state does not allow it
├── TooLarge      413   the body is larger than any request needs
├── TooLong       414   so is the address
├── UnknownHost   421   the request was meant for another server
├── Rejected      422   the request cannot work, with one entry per thing wrong
├── UnreadableJob 500   what is stored of it was written by another version
└── Unavailable   503   a part the service needs cannot be reached
"""

from __future__ import annotations

import http
import logging
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from dpk_core.errors import InvalidRequest
from service.database.documents import Unreadable
from service.database.faults import FAULTS, is_away, is_full
from service.schemas import MOST_ERRORS, FieldError, Problem
from service.validation import field_errors

MEDIA_TYPE = "application/problem+json"
NO_SNIFFING = {"X-Content-Type-Options": "nosniff"}
RETRY_AFTER = {"Retry-After": "5"}
"""Seconds after which asking again may help."""
_LONGEST_NAME = 100
_LONGEST_SENTENCE = 1_000

_log = logging.getLogger(__name__)


class ServiceError(Exception):
    """Base of the errors the service raises on purpose; its text is the problem's `detail`."""

    status: ClassVar[int]
    kind: ClassVar[str]

    def __init__(self, detail: str, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail)
        self.errors = tuple(errors)


class CrossSite(ServiceError):
    """A browser sends this for a page of another server."""

    status, kind = 403, "cross-site"


class NotFound(ServiceError):
    """There is no such thing, or nothing that answers the question yet."""

    status, kind = 404, "not-found"


class StillRunning(NotFound):
    """Nothing answers the question yet, and a job that may is under way; the detail names it."""

    kind = "running"


class Conflict(ServiceError):
    """The thing is in a state that does not allow this."""

    status, kind = 409, "conflict"


class TooLarge(ServiceError):
    """The body is larger than any request needs."""

    status, kind = 413, "too-large"


class TooLong(ServiceError):
    """The address is longer than any request needs."""

    status, kind = 414, "too-long"


class UnknownHost(ServiceError):
    """The request names a host that this server is not known as."""

    status, kind = 421, "unknown-host"


class Rejected(ServiceError):
    """The request cannot work; `errors` names the fields that are wrong, the first `MOST_ERRORS` of them."""

    status, kind = 422, "invalid-request"

    @classmethod
    def at(cls, field: str, message: str) -> Rejected:
        """One thing wrong, with this field."""
        return cls.because([FieldError(field=field, message=message)])

    @classmethod
    def because(cls, errors: Sequence[FieldError], count: int | None = None) -> Rejected:
        """With the first error as the detail, and how many more there are. `count`: of all, if these are the first."""
        others = (len(errors) if count is None else count) - 1
        more = f" There {'is' if others == 1 else 'are'} {others} more." if others else ""
        return cls(f"{shortened(errors[0].field)}: {errors[0].message}{more}", errors[:MOST_ERRORS])


class UnreadableJob(ServiceError):
    """What is stored of a job was written by another version."""

    status, kind = 500, "unreadable"


class Unavailable(ServiceError):
    """A part the service needs cannot be reached; `errors` names it."""

    status, kind = 503, "unavailable"


def field_error(error: InvalidRequest) -> FieldError:
    """A core error as a wire entry."""
    return FieldError(field=error.field, message=error.message, nearest=error.nearest)


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What an endpoint documents of its errors in OpenAPI."""
    return {status: {"model": Problem, "description": _EXAMPLES[status][0]} for status in statuses}


def example(status: int) -> Problem:
    """What such an error may look like."""
    return _EXAMPLES[status][1]


def install(app: FastAPI) -> None:
    """Makes `app` answer every error as problem details: its own, wrong requests, unknown routes and defects."""
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(InvalidRequest, _invalid_request)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(Unreadable, _unreadable)
    for error in FAULTS:
        app.add_exception_handler(error, _database_error)
    app.add_exception_handler(Exception, _defect)


def response(error: ServiceError) -> Response:
    """The answer that such an error is."""
    headers = RETRY_AFTER if error.status == http.HTTPStatus.SERVICE_UNAVAILABLE else {}
    return _answer(error.status, error.kind, str(error), error.errors, headers)


def shortened(text: str, longest: int = _LONGEST_NAME) -> str:
    """`text` as far as it helps a reader: what clients send is never repeated at length."""
    return text if len(text) <= longest else f"{text[:longest]}…"


async def _service_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError)
    return response(error)


async def _invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, InvalidRequest)
    return await _service_error(request, Rejected.because([field_error(error)]))


async def _unreadable(request: Request, error: Exception) -> Response:
    return await _service_error(request, UnreadableJob(str(error)))


async def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    findings = error.errors()
    return await _service_error(request, Rejected.because(field_errors(findings[:MOST_ERRORS]), len(findings)))


async def _http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = {
        404: f"There is nothing at {request.url.path}.",
        405: f"{request.url.path} does not answer {request.method}.",
    }.get(error.status_code, str(error.detail))
    headers = error.headers
    if error.status_code == http.HTTPStatus.METHOD_NOT_ALLOWED:
        headers = {**(headers or {}), "Allow": ", ".join(_allowed(request))}
    return _answer(error.status_code, None, detail, headers=headers)


def _allowed(request: Request) -> list[str]:
    """The methods that any route answers at this path; the framework names those of the first one only."""

    def answers(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)

    return [method for method in http.HTTPMethod if answers(method)]


async def _database_error(request: Request, error: Exception) -> Response:
    if not is_away(error):
        return await _defect(request, error)
    _log.error("The database failed a request: %s", error)
    message = (
        "The disk that the database is on is full, so nothing can be written. Free space there, then ask again."
        if is_full(error)
        else "The database cannot serve this now; GET /readyz says what is wrong. Asking again may help."
    )
    return response(Unavailable(message, [FieldError(field="database", message=message)]))


async def _defect(_request: Request, error: Exception) -> Response:
    _log.error("A request ended in a defect", exc_info=error)
    return _answer(500, None, "The service made a mistake. It is in the service's log; asking again may help.")


def _answer(
    status: int, kind: str | None, detail: str, errors: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:  # fmt: skip
    problem = _problem(status, kind, detail, errors)
    return JSONResponse(problem.model_dump(), status, {**(headers or {}), **NO_SNIFFING}, media_type=MEDIA_TYPE)


def _problem(status: int, kind: str | None, detail: str, errors: Sequence[FieldError] = ()) -> Problem:
    return Problem(
        type="about:blank" if kind is None else f"urn:dpk-select:problem:{kind}",
        title=http.HTTPStatus(status).phrase if kind is None else kind.replace("-", " ").capitalize(),
        status=status,
        detail=shortened(detail, _LONGEST_SENTENCE),
        errors=[
            FieldError(
                field=shortened(error.field), message=shortened(error.message, _LONGEST_SENTENCE), nearest=error.nearest
            )
            for error in errors
        ],
    )


_EXAMPLES: dict[int, tuple[str, Problem]] = {
    403: ("From another server's page", _problem(403, "cross-site", "A page of https://a.example may not do this.")),
    404: ("Not there", _problem(404, "not-found", "There is no selection job 'f00'.")),
    409: ("Not possible in this state", _problem(409, "conflict", "The job has finished; it cannot be cancelled.")),
    413: ("The body is too large", _problem(413, "too-large", "The body is larger than 256 KiB.")),
    414: ("The address is too long", _problem(414, "too-long", "The address is longer than 8,000 bytes.")),
    421: ("Meant for another server", _problem(421, "unknown-host", "This server is not known as 'a.example'.")),
    422: (
        "The request cannot work",
        _problem(
            422, "invalid-request", "teachers[1]: There is no model 'cifar/resnet21'.",
            [FieldError(field="teachers[1]", message="There is no model 'cifar/resnet21'.", nearest="cifar/resnet20")],
        ),
    ),
    500: ("A defect of the service", _problem(500, None, "The service made a mistake.")),
    503: (
        "A part cannot be reached",
        _problem(
            503, "unavailable", "The broker cannot be reached.",
            [FieldError(field="broker", message="The broker cannot be reached.")],
        ),
    ),
}  # fmt: skip
