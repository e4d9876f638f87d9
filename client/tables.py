"""Tables on standard output: aligned for people on a terminal, tab-separated lines for the programs behind a pipe."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from client.options import console, write


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Sequence[str] = ()) -> None:
    """Prints a header and the rows. `numbers`: titles of columns that are aligned to the right."""
    out = console()
    if not out.is_terminal:
        write("".join("\t".join(map(_one_line, cells)) + "\n" for cells in [titles, *rows]))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        right = title in numbers
        table.add_column(title, justify="right" if right else "left", no_wrap=right, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    out.print(table)


def _one_line(cell: str) -> str:
    return " ".join(cell.split())
