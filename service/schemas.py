"""Wire schemas that every domain shares. The client imports these; nothing here knows the database."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Wire(BaseModel):
    """Base of answers: unknown fields are ignored, so that clients read the answers of newer servers."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class WireRequest(Wire):
    """Base of requests: unknown fields are errors, so that a typing error is not silently ignored."""

    model_config = ConfigDict(extra="forbid")


class FieldError(Wire):
    """One thing wrong with a request. `field` in JSON notation, e.g. `teachers[2]`."""

    field: str
    message: str
    nearest: str | None = None


class Problem(Wire):
    """RFC 9457 problem details, sent as `application/problem+json` with every error."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldError] = []
