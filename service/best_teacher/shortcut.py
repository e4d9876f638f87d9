"""A question that was answered before is answered without routing and validation, which take longer than the look.

What is asked is the query as it was sent, byte for byte; the answer is looked up anew each time.
"""

from __future__ import annotations

from cachetools import LRUCache
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from dpk_core.errors import DpkError
from service.best_teacher import service
from service.conditional import document, holds, unchanged
from service.database.documents import Unreadable
from service.database.faults import FAULTS
from service.problems import ServiceError
from service.shared import Shared

PATH = "/best-teacher"

Asked = tuple[str, str, str, str | None]
"""Student, data set, method and stamp."""


def _find(asked: Asked) -> tuple[str, bytes]:
    return service.document(*asked)


answer = Shared(_find)
"""Every answer takes a look at the store; clients that ask the same at once share it. Gives its tag and its bytes."""

_answered: LRUCache[bytes, Asked] = LRUCache(service.KEPT)
"""What queries that were found valid ask for. Only the event loop reads and writes it."""


def remember(query: bytes, asked: Asked) -> None:
    """From now on `query` is this question."""
    _answered[query] = asked


class KnownQuestions:
    """ASGI middleware, inside the doors. Whatever has no answer, or was not asked before, goes on to the endpoint."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] == "http" and scope["method"] == "GET":
            asked = _answered.get(scope["query_string"])
            if asked is not None and scope["path"].removeprefix(scope.get("root_path") or "") == PATH:
                try:
                    tag, body = await answer(asked)
                except (ServiceError, DpkError, Unreadable, *FAULTS):  # the endpoint asks again and says what is wrong
                    _answered.pop(scope["query_string"], None)
                else:
                    known = Headers(scope=scope).get("if-none-match")
                    response = unchanged(tag) if holds(tag, known) else document(tag, body)
                    await response(scope, receive, send)
                    return
        await self._app(scope, receive, send)
