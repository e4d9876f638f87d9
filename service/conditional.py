"""Answers that are sent only where they have changed: `ETag`, `If-None-Match` and 304 (RFC 9110, section 13)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Header
from fastapi.responses import Response

from dpk_core.codec import content_key

IfNoneMatch = Annotated[
    str | None,
    Header(
        alias="If-None-Match", max_length=1000, examples=['"5c0a9e21d4b7f3806a1e9c42"'],
        description="`ETag` of the answer that the client has. Where it still holds, the answer is 304 without a body.",
    ),
]  # fmt: skip
UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "The answer that the client has still holds."}}
"""What such an endpoint documents in OpenAPI."""
_DIGITS = 24


def etag(*parts: object) -> str:
    """The entity tag of what is made of these parts (JSON-able values) and of nothing else."""
    return f'"{content_key(list(parts))[:_DIGITS]}"'


def holds(tag: str, if_none_match: str | None) -> bool:
    """Whether the client has what `tag` names. Compares weakly, as the RFC asks."""
    if if_none_match is None:
        return False
    known = {each.strip().removeprefix("W/") for each in if_none_match.split(",")}
    return bool(known & {tag, "*"})


def unchanged(tag: str) -> Response:
    """304."""
    return Response(status_code=304, headers=_headers(tag))


def document(tag: str, body: bytes | str) -> Response:
    """A JSON document with its tag. It may be kept, but must be asked for each time."""
    return Response(body, media_type="application/json", headers=_headers(tag))


def _headers(tag: str) -> dict[str, str]:
    return {"ETag": tag, "Cache-Control": "no-cache"}
