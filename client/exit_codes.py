"""How the `dpk` command ends: one table for every command, shown by `dpk --help` and in `docs/exit-codes.md`."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What a script can tell from the exit code alone. Each member's `meaning` is its line in the table."""

    meaning: str

    def __new__(cls, code: int, meaning: str) -> ExitCode:
        """The number, with its line in the table."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    FINE = 0, "Done; of `best-teacher`: take the teacher that it names."
    JOB_ENDED = 1, "The job failed or was cancelled."
    WRONG_USE = 2, "Wrong use, no server at the address, or the server refused."
    TIE = 3, "Several teachers are tied within noise; one of them is named."
    NO_TEACHER = 4, "No teacher helps: train the student alone."
    UNDECIDED = 5, "There are results, and they do not suffice for an answer."
    NOTHING_FOUND = 6, "Nothing was found, or what was found is stale."
    RUNNING = 7, "No answer yet; a job that may give one is running."
    TIME_OUT = 8, "The time given with --timeout is over; the job goes on."
    CHANGED = 9, "Of `gate`: another teacher is the best one now."
    INTERRUPTED = 130, "Ctrl-C."
    PIPE_CLOSED = 141, "The program that reads the output stopped reading."
    TERMINATED = 143, "Of `serve` and `demo`: asked to end (SIGTERM)."


def for_help() -> str:
    """The table under a command's options. A line of a backspace alone keeps click from joining the lines after it."""
    return "\n".join(["\b", "Exit codes:", *(f"{code.value:>5}  {code.meaning}" for code in ExitCode)])


def for_docs() -> str:
    """The table in Markdown."""
    rows = [f"| {code.value} | {code.meaning} |" for code in ExitCode]
    return "\n".join(["| code | meaning |", "|---|---|", *rows])
