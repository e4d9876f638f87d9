"""Errors that the core raises for its callers.

DpkError
├── InvalidRequest      the user asked for something that cannot work
├── DataFault           the data set on disk is missing, broken or not what was promised
├── MissingHere         this machine lacks the data or weights that the run was made for; another one may have them
├── DiskFault           files cannot be kept: the disk is full, read-only or gone
├── ArtifactFault       a checkpoint or weights file is missing or does not match its checksum
├── TrainingDiverged    the loss stopped being a finite number
└── ProtocolFault       a line between worker and runner could not be understood
"""

from __future__ import annotations

from dpk_core.display import shown


class DpkError(Exception):
    """Base of every error the core raises on purpose; its text is one sentence for a person."""


class InvalidRequest(DpkError):
    """The request cannot work.

    `field` is the request's field in JSON notation (`teachers[2]`), `nearest` a valid choice to offer instead, if any.
    """

    def __init__(self, field: str, message: str, nearest: str | None = None) -> None:
        super().__init__(message if nearest is None else f"{message} Nearest valid choice: {nearest}.")
        self.field = field
        self.message = message
        self.nearest = nearest

    def __reduce__(self) -> tuple[type[InvalidRequest], tuple[str, str, str | None]]:
        """For another process: pickle would call it with the sentence alone."""
        return type(self), (self.field, self.message, self.nearest)


class DataFault(DpkError):
    """A data set is missing, broken or not what its fingerprint promised.

    The sentence may name files as the file system does: what no JSON could hold is escaped here.
    """

    def __init__(self, message: str) -> None:
        super().__init__(shown(message))


class MissingHere(DpkError):
    """This machine lacks the data or weights that a run was made for. The sentence names the machine."""


class DiskFault(DpkError):
    """Files cannot be kept: the disk is full, read-only or gone. The sentence names the machine and the folder."""


class ArtifactFault(DpkError):
    """A checkpoint or weights file is missing or does not match its checksum."""


class TrainingDiverged(DpkError):
    """The training loss is no longer a finite number."""


class ProtocolFault(DpkError):
    """A line between worker and runner could not be understood."""


def first_line(error: Exception) -> str:
    """The first line of an error's text; its class's name where there is none."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
