"""Where the `dpk` command begins: imports the rest inside a guard, so that Ctrl-C is clean from the first moment on."""

import sys


def main() -> None:
    """Carries out the command line; an interruption ends it with 130 and says nothing."""
    try:
        from client import command

        command.main()
    except KeyboardInterrupt:
        sys.exit(130)  # `ExitCode.INTERRUPTED`, which may not be imported yet


if __name__ == "__main__":
    main()
