"""How soon a job's page is painted: six teachers, five seeds, a real Chromium on loopback (`make bench-pages`).

The page is loaded anew `LOADS` times with an empty cache. Reported are bytes, first paint, and when the first chart can
be pointed at; the budget is a second to first paint and 150 kB without the bundle of Vega.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import threading
import time
from statistics import median
from unittest.mock import patch

import torch
import uvicorn
from playwright.sync_api import Browser, sync_playwright

from benchmarks import record
from service.app import create_app
from service.imported_results import service as imported_results
from service.leaderboards import service as leaderboards
from tests.unit.web.sample_six import six_teachers

LOADS = 7
BUDGET_SECONDS, BUDGET_BYTES = 1.0, 150_000
_PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0].startTime / 1000"
_BYTES = """() => performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation'))
    .filter((each) => !/vega[.]js|[/]charts$/.test(each.name)).reduce((sum, each) => sum + each.decodedBodySize, 0)"""


def main() -> None:
    """Serves the page and measures it."""
    board = six_teachers()
    made = {board.job.id: leaderboards.Made('"made up"', board.model_dump_json().encode(), 0)}
    leaderboards.made = lambda job_id: made[job_id]
    # The made-up job is in no database that could be asked for results from elsewhere.
    elsewhere = patch.object(imported_results, "of_job", return_value=None)
    with tempfile.TemporaryDirectory() as home, elsewhere:
        os.environ["DPK_HOME"] = home
        server = uvicorn.Server(uvicorn.Config(create_app(), log_level="warning"))
        # Chromium's first connection waits in the queue of this socket until the server takes it.
        listening = socket.create_server(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            measure(f"http://127.0.0.1:{listening.getsockname()[1]}/jobs/{board.job.id}")
        finally:
            server.should_exit = True
            thread.join()


def measure(address: str) -> None:
    """Loads the page again and again, prints what it took and writes it as a result."""
    with sync_playwright() as playwright:
        found = os.environ.get("DPK_TEST_CHROMIUM") or shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        load(browser, address)  # draws every chart and makes the bundle, as the first reader after a start does
        loads = [load(browser, address) for _ in range(LOADS)]
        browser.close()
    paints, charts, sizes = zip(*loads, strict=True)
    print(f"first paint      {median(paints):.2f} s (slowest {max(paints):.2f}), budget {BUDGET_SECONDS:.0f} s")
    print(f"first live chart {median(charts):.2f} s (slowest {max(charts):.2f})")
    print(f"page             {max(sizes) / 1000:.0f} kB, budget {BUDGET_BYTES / 1000:.0f} kB")
    record.write("pages", {
        "command": "make bench-pages", "seeds": [], "machine": record.machine(torch.device("cpu")),
        "versions": record.versions(),
        "rows": [
            {"first_paint": round(paint, 3), "first_live_chart": round(chart, 3), "bytes": size}
            for paint, chart, size in loads
        ],
        "targets": [
            record.target("first paint, median", median(paints), BUDGET_SECONDS, "seconds, at most"),
            record.target("a job's page without the charts' bundle", max(sizes), BUDGET_BYTES, "bytes, at most"),
        ],
    })  # fmt: skip


def load(browser: Browser, address: str) -> tuple[float, float, int]:
    """Seconds to the first paint and to the first chart by Vega, and bytes, with an empty cache."""
    with browser.new_context(viewport={"width": 1440, "height": 900}) as context:
        page = context.new_page()
        began = time.monotonic()
        page.goto(address)
        page.locator("#chart-learning").scroll_into_view_if_needed()
        page.locator(".canvas svg").first.wait_for()
        chart = time.monotonic() - began
        return float(page.evaluate(_PAINT)), chart, int(page.evaluate(_BYTES))


if __name__ == "__main__":
    main()
