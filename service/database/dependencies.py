"""One request, one transaction, opened and committed at the edge: what an endpoint asks for to reach the database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends
from sqlalchemy.orm import Session

from service.database import session


def _reading() -> Iterator[Session]:
    with session.reading() as opened:
        yield opened


def _writing() -> Iterator[Session]:
    with session.transaction() as opened:
        yield opened


# Function scope: committed before the answer leaves, so that a client which has its answer finds what it says.
Reading = Annotated[Session, Depends(_reading, scope="function")]
"""A transaction that cannot write."""
Writing = Annotated[Session, Depends(_writing, scope="function")]
"""A transaction that is committed when the endpoint returns."""
