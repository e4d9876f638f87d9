"""Bodies: read up to a limit, counted while they arrive."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope

from service.problems import TooLarge

LARGEST_BODY = 256 * 1024
"""Bytes; the largest sensible request has some ten thousand."""


class Gone(Exception):
    """The client left before its body was there."""


async def read(headers: Headers, receive: Receive) -> bytes:
    """The whole body. Raises TooLarge as soon as it is announced or found to be beyond the limit, or Gone."""
    announced = headers.get("content-length", "")
    if announced.isdecimal() and (len(announced) > 12 or int(announced) > LARGEST_BODY):
        raise _too_large()
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > LARGEST_BODY:
            raise _too_large()
    return bytes(body)


def is_streamed(scope: Scope) -> bool:
    """Whether an endpoint reads the body itself, up to a limit of its own: an upload."""
    return scope["method"] == "POST" and str(scope["path"]).removeprefix(scope.get("root_path", "")) == "/models"


def replaying(body: bytes, receive: Receive) -> Receive:
    """`receive` for those inside: the body first, in one piece."""
    first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return first.pop() if first else await receive()

    return replay


def _too_large() -> TooLarge:
    return TooLarge(f"The body is larger than {LARGEST_BODY // 1024} KiB.")
