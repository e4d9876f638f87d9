"""Tables for people and for pipes."""

from __future__ import annotations

import sys
from io import StringIO

import pytest

from client.tables import print_table

TITLES, ROWS = ("name", "count"), [["a [b]", "1"], ["long\nname", "20"]]


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_a_pipe_gets_a_line_a_row_with_tabs(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(TITLES, ROWS, numbers=("count",))
    assert capsys.readouterr().out == "name\tcount\na [b]\t1\nlong name\t20\n"


def test_a_terminal_gets_aligned_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Terminal()
    monkeypatch.setattr(sys, "stdout", shown)
    monkeypatch.setenv("TERM", "dumb")
    print_table(TITLES, ROWS, numbers=("count",))
    assert [line.rstrip() for line in shown.getvalue().splitlines()] == [
        "name   count", "a [b]      1", "long      20", "name",
    ]  # fmt: skip
