"""Query parameters are checked as strictly as bodies: a typo must not look like an answer to the question."""

from __future__ import annotations

from typing import Annotated, get_args, get_origin, get_type_hints

from fastapi import Depends, Query, Request
from pydantic import ConfigDict

from service.problems import Rejected
from service.schemas import FieldError, WireRequest


class Parameters(WireRequest):
    """Base of an endpoint's query parameters, declared as `Annotated[SomeParameters, Query()]`.

    An unknown parameter is an error that offers the known one most like it.
    """

    model_config = ConfigDict(frozen=True)


async def _none(_parameters: Annotated[Parameters, Query()]) -> None:
    """Validates that there are none."""


NO_PARAMETERS = [Depends(_none)]
"""For `dependencies` of an endpoint that takes no query parameters."""


async def given_once(request: Request) -> None:
    """For `dependencies` of the application. Raises Rejected naming parameters given twice that are no lists."""
    names = [name for name, _ in request.query_params.multi_items()]
    if len(twice := {name for name in names if names.count(name) > 1}) == 0:
        return
    kinds = get_type_hints(request.scope["route"].endpoint)
    if found := [name for name in dict.fromkeys(names) if name in twice and not _is_list(kinds.get(name))]:
        raise Rejected.because([FieldError(field=name, message="This may be given once only.") for name in found])


def _is_list(kind: object) -> bool:
    """Of an annotation as `list[str] | None`."""
    return any(get_origin(each) is list for each in (kind, *get_args(kind)))
