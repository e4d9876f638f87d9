"""HEAD is answered as GET without its body, for every route alike: monitors and proxies ask this way."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

STREAM = "/events"
"""How paths end whose answer has no end; they refuse HEAD."""


class HeadRequests:
    """ASGI middleware; FastAPI's routes know only the methods they name."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD" or scope["path"].endswith(STREAM):
            await self._app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app({**scope, "method": "GET"}, receive, without_body)
