"""Facts that are stored as JSON are read here.

Their layout is a part of the database's schema, as columns are: a document has no version of its own, and whoever
renames one of its facts writes a migration. One that cannot be read all the same is a condition with a sentence, which
its job shows in place of results; the other jobs go on.
"""

from __future__ import annotations

from typing import TypeVar

from dpk_core.codec import Json, WrongValue, from_json

T = TypeVar("T")


class Unreadable(Exception):
    """What is stored cannot be read by this version; the text is a sentence for people."""


def read_stored(kind: type[T], document: Json) -> T:
    """The facts of a stored document. Raises Unreadable."""
    try:
        return from_json(kind, document)
    except WrongValue as error:
        raise Unreadable(
            f"What is stored of a job was written by another version of DPK Select and cannot be read by this one "
            f"({error}). Use that version, or ask the same anew: finished trainings are found again."
        ) from error


def if_readable(kind: type[T], document: Json) -> T | None:
    """The same for looks over many jobs, of which one that cannot be read is left out; None for it and for None."""
    try:
        return None if document is None else read_stored(kind, document)
    except Unreadable:
        return None
