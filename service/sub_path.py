"""Serving under a path of a site, behind a proxy that takes that path away before it passes a request on.

Pages, `Location` and the OpenAPI document put it in front of their links again: it is the request's `root_path`, as in
ASGI. It comes from `DPK_ROOT_PATH`, or from the proxy's header `X-Forwarded-Prefix` where `DPK_TRUST_PROXY` is set:
without a proxy anybody may send that header, and must not change links by it.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from service.settings import plain_path, settings

_HEADER = b"x-forwarded-prefix"


class ForwardedPrefix:
    """ASGI middleware: takes the path from the header. A header that is no plain path counts as none."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] == "http" and not scope.get("root_path") and settings().trust_proxy:
            prefix = _forwarded(scope)
            path, raw_path = prefix + scope["path"], prefix.encode() + (scope.get("raw_path") or b"")
            scope = {**scope, "root_path": prefix, "path": path, "raw_path": raw_path}
        await self._app(scope, receive, send)


def _forwarded(scope: Scope) -> str:
    values = [value for name, value in scope["headers"] if name == _HEADER]
    try:
        return plain_path(values[-1].decode("ascii")) if values else ""
    except ValueError:
        return ""


async def _root(request: Request) -> str:
    return str(request.scope.get("root_path", "")).rstrip("/")


Root = Annotated[str, Depends(_root)]
"""The path under which this request reached the service, without a slash at its end: what links begin with."""
