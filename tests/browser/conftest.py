"""A real Chromium, and the real application on a real database."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Page, expect, sync_playwright

from client.sdk import Client
from service.database.session import transaction
from service.database.tables import Base
from service.settings import Settings
from tests.servers import free_port

ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PATIENCE_MILLISECONDS = 120_000
"""For anything that is waited for: it takes a moment, but the machine may be overloaded."""
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for a module. Not for the whole run: until it is closed, its event loop occupies this thread."""
    found = os.environ.get("DPK_TEST_CHROMIUM") or next(filter(None, map(shutil.which, PROGRAMS)), None)
    with sync_playwright() as playwright:
        try:
            # Without a path: the one that `playwright install chromium` put into its own place.
            browser = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        except Error as error:
            pytest.fail(
                f"The browser tests need a real Chromium ({error.message.splitlines()[0]}). "
                "Run tests/install-chromium, or set DPK_TEST_CHROMIUM to its path.",
                pytrace=False,
            )
        expect.set_options(PATIENCE_MILLISECONDS)
        yield browser
        browser.close()


@dataclass(frozen=True)
class Server:
    """A running application, and where its store is."""

    home: Path
    port: int
    url: str


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path) -> Iterator[Server]:
    """The application on an embedded store, for all tests of a module."""
    home, port = tmp_path_factory.mktemp("site"), free_port()
    shutil.copy(migrated_sqlite, home / "dpk.sqlite")
    environment = {**os.environ, "DPK_HOME": str(home), "DPK_PORT": str(port)}
    process = subprocess.Popen(
        [sys.executable, "-m", "service"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        with Client(f"http://127.0.0.1:{port}") as client:
            deadline = time.monotonic() + PATIENCE_MILLISECONDS / 1000
            while not client.is_ready():
                assert process.poll() is None, "the application ended by itself"
                assert time.monotonic() < deadline, "the application did not get ready"
                time.sleep(0.05)
            yield Server(home, port, client.base_url)
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def kept_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what the tests of a module make once."""
    return tmp_path_factory.mktemp("kept")


def copy_store(source: Path, target: Path) -> None:
    """The content of one SQLite database in place of another's, while both may be open."""
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
        one.backup(other)


@pytest.fixture
def site(server: Server, configure: Callable[..., Settings]) -> str:
    """Address of the application on an empty store; this process works on the same store."""
    configure(home=server.home, port=server.port)
    with transaction() as session:
        for table in reversed(Base.metadata.sorted_tables):
            session.execute(table.delete())
    return server.url


@pytest.fixture
def page(chromium: Browser, site: str) -> Iterator[Page]:
    """A laptop's page. The test fails on any error in the console and on any request that leaves the site."""
    with chromium.new_context(viewport={"width": 1280, "height": 900}, base_url=site) as context:
        context.set_default_timeout(PATIENCE_MILLISECONDS)
        opened = context.new_page()
        complaints: list[str] = []
        opened.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        opened.on("pageerror", lambda error: complaints.append(str(error)))
        opened.on(
            "request",
            lambda request: None if request.url.startswith((site, "data:")) else complaints.append(request.url),
        )
        yield opened
        assert complaints == []
