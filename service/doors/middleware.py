"""The doors as ASGI middleware, around everything but the handler of defects."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.doors import bodies
from service.doors.documents import check_document
from service.doors.hosts import check_host, check_origin
from service.doors.texts import check_head
from service.problems import NO_SNIFFING, ServiceError, response
from service.settings import settings


class Doors:
    """Refuses with a problem document what must not get further, and forbids browsers to guess media types."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def unguessed(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(NO_SNIFFING)
            await send(message)

        try:
            inside = await _admit(scope, receive)
        except bodies.Gone:
            return
        except ServiceError as error:
            await response(error)(scope, receive, unguessed)
            return
        await self._app(scope, inside, unguessed)


async def _admit(scope: Scope, receive: Receive) -> Receive:
    """What those inside receive by."""
    headers, chosen = Headers(scope=scope), settings()
    check_host(headers, chosen.host, chosen.allowed_hosts)
    check_origin(scope["method"], headers, chosen.allowed_hosts)
    check_head(scope)
    if bodies.is_streamed(scope):
        return receive
    body = await bodies.read(headers, receive)
    if body and "json" in headers.get("content-type", "").lower():
        check_document(body)
    return bodies.replaying(body, receive)
