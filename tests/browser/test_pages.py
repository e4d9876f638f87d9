"""The pages as a person sees them: in a real Chromium, on jobs that move."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import axe_playwright_python
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.conftest import Server, copy_store
from tests.contract import job_driver as drive

pytestmark = pytest.mark.browser

AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text(encoding="utf-8")
_PLACE = """() => ({
    selected: getSelection().toString(), focused: document.activeElement.textContent,
    top: document.querySelector("#asked dd").getBoundingClientRect().top,
})"""

_HIDE = """(hidden) => {
    Object.defineProperty(document, "hidden", { get: () => hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.fixture
def running(site: str) -> str:
    """A job whose teachers are all prepared."""
    job_id = drive.submit(drive.request(policy="halving", seeds=1, promote=1, epochs=6, rungs=(3, 6)))
    drive.advance(job_id)
    while drive.runs_of(job_id, "queued", purpose="teacher"):
        drive.step(job_id)
    return job_id


@pytest.fixture
def finished(site: str, server: Server, kept_store: Path) -> str:
    """A job that is over; it is made once, and its store put back for every test."""
    name = kept_store / "finished"
    if not name.exists():
        job_id = drive.submit(drive.request(policy="halving"))
        drive.run_to_end(job_id)
        assert drive.job(job_id).state == "finished"
        copy_store(server.home / "dpk.sqlite", kept_store / "dpk.sqlite")
        name.write_text(job_id)
    else:
        copy_store(kept_store / "dpk.sqlite", server.home / "dpk.sqlite")
    return name.read_text()


class TestFinishedJob:
    def test_shows_verdict_table_and_charts(self, page: Page, finished: str) -> None:
        page.goto(f"/jobs/{finished}")
        expect(page.get_by_role("heading", level=1)).to_have_text(_verdict(finished))
        expect(page.locator("#leaderboard").get_by_role("row")).to_have_count(1 + len(drive.TEACHERS) + 1)
        best = page.locator("#leaderboard").get_by_role("row", name=re.compile("resnet20 "))
        expect(best).to_contain_text("98.0%")
        page.locator("#every-decision summary").click()
        expect(page.locator("#decisions").get_by_role("row")).to_have_count(1 + len(drive.board(finished).decisions))
        expect(page.locator("#learning .canvas svg")).to_be_visible()
        for section in ("correlation", "learning", "shares", "ledger"):
            assert page.locator(f"#{section} svg.chart").count() > 0
        page.get_by_text("Every seed").click()
        page.locator("#by-seed tbody a").first.click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("on digits, seed 0")

    def test_the_rivals_fit_a_phone(self, page: Page, finished: str) -> None:
        page.set_viewport_size({"width": 390, "height": 844})
        page.goto(f"/jobs/{finished}")
        page.locator("#rivals summary").click()
        rules = page.locator("#rivals").get_by_role("row")
        expect(rules).to_have_count(1 + len(drive.board(finished).trust.rivals))
        expect(rules.nth(1)).to_contain_text("The probe")
        table = "const box = document.querySelector('#rivals .scroll'); return box.scrollWidth <= box.clientWidth"
        assert page.evaluate(f"() => {{ {table} }}")

    @pytest.mark.usefixtures("finished")
    def test_is_reached_from_the_list(self, page: Page) -> None:
        page.goto("/")
        page.get_by_role("link", name="resnet8w4 on digits").click()
        expect(page.get_by_role("heading", name="Leaderboard")).to_be_visible()

    def test_colours_reach_the_charts_in_light_and_dark(self, page: Page, finished: str) -> None:
        page.goto(f"/jobs/{finished}")
        stroke = "() => getComputedStyle(document.querySelector('#learning svg.chart [stroke^=\"var(--arm\"]')).stroke"
        seen = set()
        schemes: tuple[Literal["light"], Literal["dark"]] = ("light", "dark")
        for scheme in schemes:
            page.emulate_media(color_scheme=scheme)
            seen.add(page.evaluate(stroke))
        assert len(seen) == 2
        assert all(colour.startswith("rgb") for colour in seen)

    def test_the_report_stands_alone(self, page: Page, finished: str) -> None:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"/selection-jobs/{finished}/report")
        expect(page.get_by_role("heading", name="Leaderboard")).to_be_visible()
        assert len(asked) == 1
        # Its own style is applied under its own policy.
        assert page.evaluate("getComputedStyle(document.body).marginTop") == "0px"


class TestRunningJob:
    def _moves(self, page: Page, job_id: str) -> None:
        """The page shows how the job goes on and ends, without being loaded anew."""
        page.goto(f"/jobs/{job_id}")
        page.evaluate("window.sameDocument = true")
        expect(page.locator("#stages .stage-running .stage-title")).to_have_text("Exploring")
        page.locator("#asked summary").click()
        drive.run_to_end(job_id)
        expect(page.get_by_role("heading", level=1)).to_have_text(_verdict(job_id))
        expect(page.locator("#live")).not_to_have_attribute("data-running", "")
        expect(page.locator("#stages")).to_have_count(0)
        expect(page.locator("#asked")).to_have_attribute("open", "")
        assert page.evaluate("window.sameDocument") is True
        parts = page.locator("#live > :not(#learning)")
        shown = [_words(text) for text in parts.all_inner_texts()]
        page.reload()
        page.locator("#asked summary").click()
        assert [_words(text) for text in parts.all_inner_texts()] == shown

    def test_moves_with_the_events(self, page: Page, running: str) -> None:
        page.add_init_script("window.setInterval = () => 0")
        self._moves(page, running)

    def test_moves_by_polling_when_the_stream_is_cut(self, page: Page, running: str) -> None:
        page.add_init_script("window.EventSource = undefined")
        self._moves(page, running)

    def test_hidden_pages_leave_the_connections_to_others(self, page: Page, running: str) -> None:
        """A browser opens six connections to a server; the streams of six pages would take them all."""
        others = [page.context.new_page() for _ in range(6)]
        for other in others:
            other.goto(f"/jobs/{running}")
            other.evaluate(_HIDE, True)
        page.goto(f"/jobs/{running}")
        drive.run_to_end(running)
        expect(page.get_by_role("heading", level=1)).to_have_text(_verdict(running))
        expect(others[0].get_by_role("heading", level=1)).not_to_have_text(_verdict(running))
        others[0].evaluate(_HIDE, False)
        expect(others[0].get_by_role("heading", level=1)).to_have_text(_verdict(running))

    def test_a_page_that_is_shown_again_asks_for_newer_events_alone(self, page: Page, running: str) -> None:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url) if "/events" in request.url else None)
        page.goto(f"/jobs/{running}")
        while page.evaluate("newest") == 0:
            page.wait_for_timeout(10)
        page.evaluate(_HIDE, True)
        newest = page.evaluate("newest")
        page.evaluate(_HIDE, False)
        while len(asked) < 2:
            page.wait_for_timeout(10)
        assert [url.rpartition("?")[2] for url in asked] == ["after=0", f"after={newest}"]

    def test_a_request_without_an_answer_is_made_again(self, page: Page, running: str) -> None:
        held: list[Route] = []

        def answer(route: Route) -> None:
            if held:
                route.continue_()
            else:
                held.append(route)

        page.add_init_script("const end = AbortSignal.timeout; AbortSignal.timeout = () => end.call(AbortSignal, 3000)")
        page.route(f"**/jobs/{running}/live", answer)
        page.goto(f"/jobs/{running}")
        while not held:
            page.wait_for_timeout(10)
        drive.run_to_end(running)
        expect(page.get_by_role("heading", level=1)).to_have_text(_verdict(running))

    def test_focus_selection_and_scrolling_stay_and_what_changed_is_said(self, page: Page, running: str) -> None:
        page.goto(f"/jobs/{running}")
        page.evaluate("() => { document.getElementById('asked').open = true; window.scrollTo(0, 400); }")
        page.locator("#asked a").focus()
        page.evaluate("() => getSelection().selectAllChildren(document.querySelector('#asked dd code'))")
        before = page.evaluate(_PLACE)
        drive.run_to_end(running)
        expect(page.get_by_role("status")).to_have_text(_verdict(running))
        now = page.evaluate(_PLACE)
        assert now["selected"] == before["selected"] == running
        assert now["focused"] == before["focused"] == "request.json"
        # Scrolling is in whole pixels, so some of one are lost with every change.
        assert now["top"] == pytest.approx(before["top"], abs=12)

    def test_a_job_that_is_over_is_left_alone(self, page: Page, finished: str) -> None:
        page.add_init_script("window.EventSource = class { constructor() { throw new Error('opened'); } }")
        page.goto(f"/jobs/{finished}")
        expect(page.get_by_role("heading", name="Leaderboard")).to_be_visible()

    def test_a_new_job_appears_in_the_empty_list(self, page: Page) -> None:
        page.goto("/")
        expect(page.get_by_role("heading", level=1)).to_have_text("No selection job yet")
        drive.submit()
        expect(page.get_by_role("link", name="resnet8w4 on digits")).to_be_visible(timeout=30_000)


class TestWithoutJavaScript:
    def test_everything_is_there(self, chromium: Browser, site: str, finished: str, running: str) -> None:
        with chromium.new_context(java_script_enabled=False, base_url=site) as context:
            context.set_default_timeout(120_000)
            page = context.new_page()
            page.goto(f"/jobs/{finished}")
            expect(page.locator("#leaderboard").get_by_role("row")).to_have_count(1 + len(drive.TEACHERS) + 1)
            assert page.locator("svg.chart:visible").count() == 4
            page.locator("#shares summary").click()
            assert page.locator("svg.chart:visible").count() == 5
            page.goto(f"/jobs/{running}")
            drive.run_to_end(running)
            # The page asks for itself again every few seconds until the job is over.
            expect(page.get_by_role("heading", level=1)).to_have_text(_verdict(running))


class TestCharts:
    def test_can_be_pointed_at_and_arms_left_out(self, page: Page, finished: str) -> None:
        page.goto(f"/jobs/{finished}")
        chart = page.locator("#chart-learning .canvas")
        expect(chart.locator("svg")).to_be_visible()
        expect(page.locator("#chart-learning svg.chart")).to_be_hidden()
        points = chart.locator("path[aria-label], .mark-symbol path")
        lines = chart.locator(".mark-line path")
        drawn = lines.count()
        points.last.hover(force=True)
        expect(page.locator(".tip")).to_contain_text(re.compile(r"Epoch \d"))
        page.get_by_role("button", name="resnet20").first.click()
        expect(page.get_by_role("button", name="resnet20").first).to_have_attribute("aria-pressed", "false")
        expect(lines).not_to_have_count(drawn)
        page.locator("#chart-learning").get_by_role("button", name="Logarithmic").click()
        expect(chart.get_by_text("3", exact=True)).to_be_attached()

    def test_zoom_and_arms_left_out_survive_a_change_of_the_data(self, page: Page, running: str) -> None:
        while len(drive.runs_of(running, "finished", purpose="probe")) < 3:
            drive.step(running)
        page.goto(f"/jobs/{running}")
        chart = page.locator("#chart-learning .canvas")
        expect(chart.locator("svg")).to_be_visible()
        whole = chart.inner_text()
        page.get_by_role("button", name="resnet20").first.click()
        chart.hover()
        page.keyboard.down("Control")
        page.mouse.wheel(0, -400)
        page.keyboard.up("Control")
        expect(chart).not_to_have_text(whole)
        first, *others = chart.inner_text().split()
        chart.evaluate("(canvas) => { canvas.dataset.old = ''; }")
        drive.run_to_end(running)
        expect(page.locator("#chart-learning .canvas[data-old]")).to_have_count(0)
        expect(chart).to_have_text(re.compile(f"^{first}epoch"))
        assert sorted(chart.inner_text().split()) == sorted([first, *others])
        expect(page.get_by_role("button", name="resnet20").first).to_have_attribute("aria-pressed", "false")
        page.locator("#chart-learning").get_by_role("button", name="Whole range").click()
        expect(chart).not_to_have_text(re.compile(f"^{first}epoch"))

    def test_every_chart_has_one_name(self, page: Page, finished: str) -> None:
        page.goto(f"/jobs/{finished}")
        expect(page.locator("#learning .canvas svg")).to_be_visible()
        expect(page.get_by_role("img", name=re.compile("Means over the seeds: .*resnet20 8"))).to_have_count(1)


def test_axe_finds_nothing_on_any_page(page: Page, finished: str, running: str) -> None:
    run = drive.runs_of(finished, "finished", purpose="full")[0].id
    jobs = (f"/jobs/{finished}", f"/jobs/{running}", f"/selection-jobs/{finished}/report")
    for path in (*jobs, "/", f"/runs/{run}", "/teachers", "/record", "/docs", "/data", "/data/digits"):
        page.goto(path)
        page.evaluate("() => { for (const each of document.querySelectorAll('details')) each.open = true; }")
        if path == jobs[0]:
            page.locator("#learning").scroll_into_view_if_needed()  # it is drawn where it is looked at
            page.locator("#learning .canvas svg").wait_for()
        page.evaluate(AXE)
        found = page.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")["violations"]
        assert [(path, each["id"], [node["html"] for node in each["nodes"][:3]]) for each in found] == []


def test_a_lost_server_is_said_and_a_found_one_too(chromium: Browser, site: str, running: str) -> None:
    with chromium.new_context(base_url=site) as context:
        page = context.new_page()
        page.goto(f"/jobs/{running}")
        context.set_offline(True)
        expect(page.get_by_role("alert")).to_contain_text("The server does not answer.", timeout=5_000)
        context.set_offline(False)
        expect(page.get_by_role("alert")).to_be_hidden()


def test_no_page_is_wider_than_the_screen(page: Page, finished: str, running: str) -> None:
    run = drive.runs_of(finished, "finished", purpose="full")[0].id
    jobs = (f"/jobs/{finished}", f"/jobs/{running}", f"/selection-jobs/{finished}/report")
    for path in ("/", *jobs, f"/runs/{run}", "/teachers", "/record", "/docs"):
        page.goto(path)
        page.evaluate("() => { for (const each of document.querySelectorAll('details')) each.open = true; }")
        for width in (320, 390, 768, 1024, 1060, 1280):
            page.set_viewport_size({"width": width, "height": 844})
            wide = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
            assert wide[0] <= wide[1], f"{path} at {width}"


def test_on_a_laptop_the_leaderboard_needs_no_scrolling(page: Page, finished: str) -> None:
    page.goto(f"/jobs/{finished}")
    for width in (1060, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("(box => box.scrollWidth <= box.clientWidth)(document.querySelector('.scroll'))"), width


def test_the_empty_list_is_not_wider_than_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 320, "height": 844})
    page.goto("/")
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def _verdict(job_id: str) -> str:
    verdict = drive.job(job_id).verdict
    assert verdict is not None
    return verdict


def _words(text: str) -> list[str]:
    return text.split()
