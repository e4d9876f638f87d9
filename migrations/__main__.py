"""`python -m migrations upgrade | downgrade | current`: what `dpk migrate`, make and compose call."""

from __future__ import annotations

import argparse
import sys

from alembic.util import CommandError

from migrations import commands
from service.database.faults import FAULTS, is_away, words
from service.starting import CannotStart, checked_settings, starting


def main(arguments: list[str] | None = None) -> int:
    """Carries out one command and prints the revision the database is at afterwards."""
    parser = argparse.ArgumentParser(prog="python -m migrations", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("upgrade", help="to the newest revision").add_argument("revision", nargs="?", default="head")
    actions.add_parser("downgrade", help="by one revision").add_argument("revision", nargs="?", default="-1")
    actions.add_parser("current", help="say where the database is")
    chosen = parser.parse_args(arguments)
    with starting():
        checked_settings()
        sys.stdout.write(f"{_carry_out(chosen) or 'empty'}\n")
    return 0


def _carry_out(chosen: argparse.Namespace) -> str | None:
    try:
        if chosen.action == "upgrade":
            commands.upgrade(chosen.revision)
        elif chosen.action == "downgrade":
            commands.downgrade(chosen.revision)
        return commands.current()
    except FAULTS as error:
        if not is_away(error):
            raise
        raise CannotStart(f"The database of DPK_DATABASE_URL cannot be migrated: {words(error)}") from error
    except CommandError as error:
        found = commands.current()
        if found is not None and found not in commands.known():
            raise CannotStart(
                f"The database is of another version of DPK Select: its revision {found} is not known here. Run that "
                "version, or set DPK_DATABASE_URL, or DPK_HOME where there is no server, to a place without a database."
            ) from error
        raise CannotStart(f"The database cannot be migrated: {error}") from error


if __name__ == "__main__":
    sys.exit(main())
