"""The `dpk` command. `client.exit_codes` says how it ends."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from client import best_teacher, demo, exit_codes, jobs, server
from client.errors import ClientError
from client.options import complaints
from client.terminal import say

app = typer.Typer(
    name="dpk", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    help="Which teacher should my student learn from?", epilog=exit_codes.for_help(),
)  # fmt: skip
app.command()(demo.demo)
app.command()(server.serve)
app.command()(jobs.submit)
app.command()(jobs.watch)
app.command()(jobs.leaderboard)
app.command("best-teacher", epilog=exit_codes.for_help())(best_teacher.best_teacher)
app.command()(jobs.cancel)
app.command()(server.worker)
app.command("migrate")(server.migrate_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Carries out one command line and leaves with its exit code."""
    try:
        app(args=None if arguments is None else list(arguments))
    except ClientError as error:
        say(complaints(), str(error))
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
