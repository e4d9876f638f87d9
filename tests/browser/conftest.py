"""A real Chromium, and the real application on a real database."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Error, Page, sync_playwright

from client.sdk import Client
from migrations.commands import upgrade
from service.settings import Settings
from tests.servers import free_port

ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
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
        yield browser
        browser.close()


@pytest.fixture
def site(configure: Callable[..., Settings]) -> Iterator[str]:
    """Address of the application on an empty embedded store; this process works on the same store."""
    port = free_port()
    configure(port=port)
    upgrade()
    process = subprocess.Popen([sys.executable, "-m", "service"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with Client(f"http://127.0.0.1:{port}") as client:
            deadline = time.monotonic() + 60
            while not client.is_ready():
                assert process.poll() is None, "the application ended by itself"
                assert time.monotonic() < deadline, "the application did not get ready"
                time.sleep(0.05)
            yield client.base_url
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def page(chromium: Browser, site: str) -> Iterator[Page]:
    """A laptop's page. The test fails on any error in the console and on any request that leaves the site."""
    with chromium.new_context(viewport={"width": 1280, "height": 900}, base_url=site) as context:
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
