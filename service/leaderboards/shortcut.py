"""Finished boards that are in memory are sent without routing and validation, which take longer than all the rest."""

from __future__ import annotations

import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.conditional import document, holds, unchanged
from service.leaderboards.service import final

_PATH = re.compile(r"/selection-jobs/([0-9a-f]{32})/leaderboard")


class FinishedBoards:
    """ASGI middleware, inside the doors. Whatever is not as simple as this goes on to the endpoint."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] == "http" and scope["method"] == "GET" and not scope["query_string"]:
            asked = _PATH.fullmatch(scope["path"].removeprefix(scope.get("root_path") or ""))
            made = None if asked is None else final(asked[1])
            if made is not None:
                known = Headers(scope=scope).get("if-none-match")
                response = unchanged(made.etag) if holds(made.etag, known) else document(made.etag, made.body)
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)
