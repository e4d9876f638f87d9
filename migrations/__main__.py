"""`python -m migrations upgrade | downgrade | current`: what `dpk migrate`, make and compose call."""

from __future__ import annotations

import argparse
import sys

from migrations import commands


def main(arguments: list[str] | None = None) -> int:
    """Carries out one command and prints the revision the database is at afterwards."""
    parser = argparse.ArgumentParser(prog="python -m migrations", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("upgrade", help="to the newest revision").add_argument("revision", nargs="?", default="head")
    actions.add_parser("downgrade", help="by one revision").add_argument("revision", nargs="?", default="-1")
    actions.add_parser("current", help="say where the database is")
    chosen = parser.parse_args(arguments)
    if chosen.action == "upgrade":
        commands.upgrade(chosen.revision)
    elif chosen.action == "downgrade":
        commands.downgrade(chosen.revision)
    sys.stdout.write(f"{commands.current() or 'empty'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
