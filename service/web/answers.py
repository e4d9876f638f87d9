"""How pages are sent; and pages in place of problem documents where a browser asks for what is not there."""

from __future__ import annotations

import functools
import http
from collections.abc import Awaitable, Callable
from typing import cast

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from starlette.exceptions import HTTPException

from service.problems import NotFound, ServiceError
from service.web import pages

Handler = Callable[[Request, Exception], Awaitable[Response]]


def page(text: str, *, status: int = 200, policy: str | None = None) -> Response:
    """A page under the policy of pages, or another one."""
    headers = {
        "Content-Security-Policy": policy or pages.page_policy(),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
    return HTMLResponse(text, status, headers)


def install(app: FastAPI) -> None:
    """Answers people with a page where there is nothing; programs get the problem document as before."""
    handlers = {HTTPException: app.exception_handlers[HTTPException], NotFound: app.exception_handlers[ServiceError]}
    for error, before in handlers.items():
        app.add_exception_handler(error, functools.partial(_answer, cast(Handler, before)))


async def _answer(before: Handler, request: Request, error: Exception) -> Response:
    status = getattr(error, "status", None) or getattr(error, "status_code", None)
    if status != http.HTTPStatus.NOT_FOUND or not _is_for_a_person(request):
        return await before(request, error)
    sentence = str(error) if isinstance(error, NotFound) else f"There is nothing at {request.url.path}."
    root = str(request.scope.get("root_path", "")).rstrip("/")
    return page(pages.not_found_page(sentence, root), status=404)


def _is_for_a_person(request: Request) -> bool:
    return request.method in ("GET", "HEAD") and "text/html" in request.headers.get("accept", "")
