"""The machine of somebody who reads the documents: a folder, a server with a few jobs, and a `dpk` on the PATH.

Commands are lines of a real bash. Its `dpk` is a stub that has the command carried out in this process, which has
loaded its modules: a process of its own takes a second. What a document calls `0f3c2a9d`, this server calls otherwise;
names are put right where the command is carried out.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from client.command import main

STUB = """#!/bin/bash
printf '%s\\0' "$@" > "$DPK_ASKED"
read -r code < "$DPK_ENDED"
cat "$DPK_ENDED.out"; cat "$DPK_ENDED.err" >&2
exit "$code"
"""
PYTHON = '#!/bin/sh\nexec "{}" "$@"\n'
REFUSE = '#!/bin/sh\necho "${0##*/} is not run by a test: put <!-- not run: … --> before the block" >&2; exit 1\n'
REFUSED = ("pip", "make", "docker")
"""Programs that would change the machine that the tests run on, or start them."""
WHOLE = 'bash -euo pipefail -c "$1"; printf "ended\\0%s\\0" "$?" > "$DPK_ASKED"'

Names = Mapping[str, Callable[[], str]]
"""What documents call things, and what this server calls them."""


class Machine:
    """Carries out command lines in the present folder."""

    def __init__(self, folder: Path, names: Names) -> None:
        self._names = names
        programs = folder / ".venv" / "bin"
        programs.mkdir(parents=True)
        scripts = {"dpk": STUB, "python": PYTHON.format(sys.executable), **dict.fromkeys(REFUSED, REFUSE)}
        for name, script in scripts.items():
            (programs / name).write_text(script)
            (programs / name).chmod(0o755)
        self._asked, self._ended = folder / ".asked", folder / ".ended"
        for place in (self._asked, self._ended):
            os.mkfifo(place)
        self._environment = {
            **os.environ, "HOME": str(folder), "PATH": f"{programs}:/usr/bin:/bin",
            "DPK_ASKED": str(self._asked), "DPK_ENDED": str(self._ended),
        }  # fmt: skip

    def real(self, text: str) -> str:
        """The text with this server's names in it."""
        for made_up, name in self._names.items():
            text = re.sub(rf"(?<![\w-]){made_up}(?![\w-])", lambda _, name=name: name(), text)
        return text

    def carry_out(self, lines: str) -> tuple[int, str]:
        """Exit code and output of the lines; the first one that fails ends them."""
        said: list[str] = []
        with subprocess.Popen(
            ["/bin/bash", "-c", WHOLE, "bash", lines], env=self._environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        ) as shell:  # fmt: skip
            try:
                code = self._serve(said)
            except BaseException:
                shell.kill()  # it waits for an answer
                raise
            assert shell.stdout is not None
            said.append(shell.stdout.read())
        return code, "".join(said)

    def _serve(self, said: list[str]) -> int:
        """Carries out what the stub asks for until the shell has ended; gives the shell's exit code."""
        while True:
            *asked, _ = self._asked.read_text().split("\0")
            if asked[:1] == ["ended"]:
                return int(asked[1])
            code, out, err = dpk(*map(self.real, asked))
            said.append(err)
            for ending, text in (("out", out), ("err", err)):
                Path(f"{self._ended}.{ending}").write_text(text)
            self._ended.write_text(f"{code}\n")


def dpk(*arguments: str) -> tuple[int, str, str]:
    """Exit code and output of a command, carried out in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main(arguments)
        except SystemExit as ended:
            code = ended.code
    return code if isinstance(code, int) else 0, out.getvalue(), err.getvalue()
