"""The `dpk` command. Its exit codes are those of `client.exit_codes`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated

import typer

from client import (
    VERSION,
    best_teacher,
    choices,
    compare,
    completion,
    datasets,
    demo,
    evaluate,
    exit_codes,
    export,
    gate,
    imported,
    job_actions,
    jobs,
    models,
    pages,
    runs,
    server,
    submit,
    webhooks,
)
from client.errors import ClientError, PipeClosed
from client.exit_codes import ExitCode
from client.options import complaints
from client.terminal import say

# No rich markup: it swallows what stands in brackets, as in family/name[@weights].
app = typer.Typer(
    name="dpk", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
    help="Which teacher should my student learn from?", epilog=exit_codes.for_help(),
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 100},
)  # fmt: skip
app.command()(demo.demo)
app.command()(server.serve)
app.command()(submit.submit)
app.command()(jobs.jobs)
app.command()(jobs.watch)
app.command()(jobs.leaderboard)
app.command()(compare.compare)
app.command()(runs.runs)
app.command()(runs.logs)
app.command("best-teacher", short_help="Look up the answer of finished jobs.", epilog=exit_codes.for_help())(
    best_teacher.best_teacher
)
app.command(short_help="Pass a pipeline while the best teacher is as expected.", epilog=exit_codes.for_help())(
    gate.gate
)
app.command("open")(pages.open_page)
app.command()(jobs.request)
app.command()(jobs.cancel)
app.command()(job_actions.pause)
app.command()(job_actions.resume)
app.command()(job_actions.retry)
app.command()(job_actions.add_teacher)
app.command()(job_actions.name)
app.command()(export.export)
app.command()(evaluate.evaluate)
app.command()(datasets.datasets)
app.add_typer(datasets.app)
app.command()(models.models)
app.command()(choices.methods)
app.command()(choices.recipes)
app.add_typer(models.model, name="model")
app.add_typer(webhooks.app)
app.add_typer(imported.app)
app.command()(server.worker)
app.command("migrate")(server.migrate_command)
app.command()(completion.completion)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"dpk {VERSION}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Options before the command's name."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Carries out one command line and leaves with its exit code."""
    code = _carry_out(arguments)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = ExitCode.PIPE_CLOSED
    if code == ExitCode.PIPE_CLOSED:
        # The interpreter flushes once more when it ends, and would complain.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def _carry_out(arguments: Sequence[str] | None) -> int:
    try:
        app(args=None if arguments is None else list(arguments), prog_name="dpk", complete_var=completion.VARIABLE)
    except SystemExit as ended:
        if isinstance(ended.__context__, BrokenPipeError):  # for which click ends with 1, as a failed job does
            return ExitCode.PIPE_CLOSED
        return ended.code if isinstance(ended.code, int) else ExitCode.FINE
    except PipeClosed as error:
        return error.exit_code
    except ClientError as error:
        say(complaints(), str(error))
        return error.exit_code
    except OSError as error:
        # What the machine does not give: a folder that cannot be written, a full disk.
        place = "" if error.filename is None else f"{error.filename}: "
        say(complaints(), f"{place}{error.strerror or error}.")
        return ExitCode.WRONG_USE
    return ExitCode.FINE


if __name__ == "__main__":
    main()
