"""Query parameters that an endpoint does not know are refused: a typo must not look like an answer to the question."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query
from pydantic import BaseModel, ConfigDict


class Parameters(BaseModel):
    """Base of an endpoint's query parameters, declared as `Annotated[SomeParameters, Query()]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)


async def _none(_parameters: Annotated[Parameters, Query()]) -> None:
    """Validates that there are none."""


NO_PARAMETERS = [Depends(_none)]
"""For `dependencies` of an endpoint that takes no query parameters."""
