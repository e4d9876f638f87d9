"""What a job's page may weigh: 150 kB with everything that it loads but the bundle of Vega."""

from __future__ import annotations

from service.web import pages
from service.web.job_page import job_figures
from tests.unit.web.sample_six import six_teachers

BYTES = 150_000


def test_six_teachers_and_five_seeds_weigh_no_more_than_the_budget() -> None:
    board = six_teachers()
    assert len(board.job.request.teachers) == 6
    assert {len(row.seeds) for row in board.rows} == {5}
    files = [found[0] for name in ("style.css", "live.js", "charts.js") if (found := pages.static_file(name))]
    parts = [pages.job_page(board).encode(), *files, pages.chart_specifications(job_figures(board)).encode()]
    assert len(files) == 3
    sizes = [len(part) for part in parts]
    assert sum(sizes[:-1]) <= BYTES, sizes
    # What Vega draws from is loaded after the page is shown, where a chart comes near the screen.
    assert sizes[-1] <= 2 * BYTES, sizes
