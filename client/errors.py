"""Errors of the client; the text of each is one sentence for a person.

ClientError
├── ServerUnreachable   nothing answers at the address
│   └── ForeignAnswer   something else than a DPK Select server answers
├── VersionMismatch     the server is of another version than the client
├── ServerProblem       the server answered with a problem
│   └── NothingFound    … namely that there is no such thing
├── InputFault          what was typed cannot work
├── JobEnded            the job ended without a result
├── TimeIsOver          the job did not end in the time that was given
└── PipeClosed          whoever read the output stopped reading
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError

from client.exit_codes import ExitCode
from service.schemas import FieldError, Problem
from service.validation import field_errors


class ClientError(Exception):
    """Base of the client's errors. `exit_code`: how the command ends on it."""

    exit_code = ExitCode.WRONG_USE


class ServerUnreachable(ClientError):
    """Nothing answers at the address."""


class ForeignAnswer(ServerUnreachable):
    """What answers is no DPK Select server: another program, or a proxy in its place."""


class VersionMismatch(ClientError):
    """The server is of another version than the client."""


class ServerProblem(ClientError):
    """The server answered with problem details, kept in `problem`."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(_sentence(problem))
        self.problem = problem


class NothingFound(ServerProblem):
    """The server knows no such thing."""

    exit_code = ExitCode.NOTHING_FOUND


class InputFault(ClientError):
    """What was typed cannot work."""

    @classmethod
    def of(cls, error: ValidationError) -> InputFault:
        """In the words in which a server would refuse it."""
        errors = field_errors(dict(finding) for finding in error.errors())
        if len(errors) == 1:
            return cls(f"{errors[0].field}: {errors[0].message}" + _offer(errors[0].nearest))
        return cls(_several(errors))


class JobEnded(ClientError):
    """The job failed or was cancelled."""

    exit_code = ExitCode.JOB_ENDED


class TimeIsOver(ClientError):
    """The job did not end in the time that was given; it goes on."""

    exit_code = ExitCode.TIME_OUT


class PipeClosed(ClientError):
    """Whoever read the output stopped reading. Nothing is said about it."""

    exit_code = ExitCode.PIPE_CLOSED


def _sentence(problem: Problem) -> str:
    if len(problem.errors) == 1:
        offer = _offer(problem.errors[0].nearest)
        return problem.detail if offer in problem.detail else problem.detail + offer
    if not problem.errors:
        return problem.detail
    return _several(problem.errors)


def _several(errors: Sequence[FieldError]) -> str:
    lines = [f"  {error.field}: {error.message}" + _offer(error.nearest) for error in errors]
    return "\n".join(["Several things are wrong:", *lines])


def _offer(nearest: str | None) -> str:
    return "" if nearest is None else f" Nearest valid choice: {nearest}."
