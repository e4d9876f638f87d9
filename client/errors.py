"""Errors of the client; the text of each is one sentence for a person.

ClientError
├── ServerUnreachable   nothing answers at the address
├── ServerProblem       the server answered with a problem
│   └── NothingFound    … namely that there is no such thing
├── InputFault          what was typed cannot work
└── JobEnded            the job ended without a result
"""

from __future__ import annotations

from collections.abc import Sequence

from client.exit_codes import ExitCode
from service.schemas import FieldError, Problem


class ClientError(Exception):
    """Base of the client's errors. `exit_code`: how the command ends on it."""

    exit_code = 2


class ServerUnreachable(ClientError):
    """Nothing answers at the address."""


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
    def because(cls, errors: Sequence[FieldError]) -> InputFault:
        """In the words in which a server would refuse it."""
        if len(errors) == 1:
            return cls(f"{errors[0].field}: {errors[0].message}" + _offer(errors[0].nearest))
        return cls(_several(errors))


class JobEnded(ClientError):
    """The job failed or was cancelled."""

    exit_code = 1


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
