"""A leaderboard as notebooks show it: the verdict and the table that the command prints, as HTML."""

from __future__ import annotations

from html import escape

from client.terminal import leaderboard_cells
from service.presentation.words import board_headline
from service.wire.boards import Leaderboard


class NotebookLeaderboard(Leaderboard):
    """What `Client.leaderboard` gives. In Jupyter the last expression of a cell is shown by `_repr_html_`."""

    def _repr_html_(self) -> str:
        request = self.job.request
        titles, rows = leaderboard_cells(self, wide=True)
        head = "".join(f"<th>{escape(title)}</th>" for title in titles)
        lines = [self._line(cells, best=teacher is not None and teacher == self._best()) for teacher, cells in rows]
        caption = f"<caption>{escape(f'{request.student} on {request.dataset}')}</caption>"
        table = f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
        return f"<p><strong>{escape(board_headline(self))}</strong></p>{table}"

    def _best(self) -> str | None:
        return None if self.verdict is None else self.verdict.best

    @staticmethod
    def _line(cells: list[str], *, best: bool) -> str:
        shown = [escape(cell) for cell in cells]
        return "<tr>" + "".join(f"<td>{f'<b>{cell}</b>' if best else cell}</td>" for cell in shown) + "</tr>"
