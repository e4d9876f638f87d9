"""What people do in the browser, each action as they do it."""

from __future__ import annotations

import re
from pathlib import Path

import axe_playwright_python
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.contract import job_driver as drive

pytestmark = pytest.mark.browser

AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text(encoding="utf-8")

SMALL = drive.request("cifar/resnet20", promote=1, epochs=2, rungs=(1, 2))


@pytest.fixture
def running(site: str) -> str:
    """A job whose teacher waits to be trained."""
    job_id = drive.submit(SMALL)
    drive.advance(job_id)
    return job_id


class TestAsk:
    def test_models_are_found_as_they_are_typed_and_pre_flight_is_live(self, page: Page) -> None:
        page.goto("/")
        page.get_by_role("link", name="New question").first.click()
        page.get_by_label("Student").fill("cifar/resnet8w")
        expect(page.locator("#models option[value='cifar/resnet8w4']")).to_have_count(1)
        page.get_by_label("Student").fill("cifar/resnet8w4")
        page.get_by_label("Data set").select_option("digits")
        page.get_by_label("Teacher 1").fill("cifar/resnet21")
        expect(page.locator("#problem-teacher-0")).to_contain_text("The nearest is")
        for place, name in enumerate(("cifar/resnet20", "cifar/resnet14", "cifar/resnet32"), 1):
            page.get_by_label(f"Teacher {place}").fill(name)
        expect(page.get_by_label("Teacher 4")).to_be_visible()
        expect(page.locator("#problem-teacher-0")).to_be_empty()
        expect(page.locator("#preflight").get_by_role("row")).to_have_count(1 + 1 + 3)
        page.get_by_role("button", name="Submit").click()
        expect(page).to_have_url(re.compile("/jobs/[0-9a-f]{32}$"))
        expect(page.locator("#leaderboard").get_by_role("row", name=re.compile("resnet32"))).to_be_visible()

    def test_one_check_at_a_time_and_the_last_one_of_what_was_typed_last(self, page: Page) -> None:
        held: list[Route] = []
        page.route("**/*", lambda route: held.append(route) if route.request.method == "POST" else route.continue_())
        page.goto("/")
        page.get_by_role("link", name="Try an example").click()
        while not held:
            page.wait_for_timeout(10)
        for name in ("cifar/resnet14", "cifar/resnet56"):
            page.get_by_label("Teacher 1").fill(name)
            page.wait_for_timeout(700)
        assert len(held) == 1
        held[0].continue_()
        while len(held) < 2:
            page.wait_for_timeout(10)
        assert "resnet56" in (held[1].request.post_data or "")
        held[1].continue_()
        expect(page.locator("#preflight")).to_contain_text("resnet56")

    def test_from_the_empty_page_to_a_job_by_three_clicks(self, page: Page) -> None:
        page.goto("/")
        page.get_by_role("link", name="Try an example").click()
        expect(page.locator("#preflight").get_by_role("row")).to_have_count(1 + 1 + 3)
        page.get_by_role("button", name="Submit").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Waiting for a worker to begin.")
        expect(page.locator("#leaderboard").get_by_role("row")).to_have_count(1 + 3 + 1)

    def test_same_with_another_teacher_without_scripts(self, chromium: Browser, site: str, running: str) -> None:
        with chromium.new_context(java_script_enabled=False, base_url=site) as context:
            page = context.new_page()
            page.goto(f"/jobs/{running}")
            page.get_by_role("link", name="Same, with").click()
            page.get_by_label("Teacher 2").fill("cifar/resnet33")
            page.get_by_role("button", name="Submit").click()
            expect(page.locator("#problem-teacher-1")).to_contain_text("cifar/resnet32")
            page.get_by_label("Teacher 2").fill("cifar/resnet32")
            page.get_by_role("button", name="Submit").click()
            expect(page).to_have_url(re.compile("/jobs/[0-9a-f]{32}$"))
        assert page.url.rpartition("/")[2] != running


class TestButtons:
    def test_pause_resume_and_cancel(self, page: Page, running: str) -> None:
        page.goto(f"/jobs/{running}")
        page.get_by_role("button", name="Pause").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("Paused")
        assert drive.runs_of(running, "queued") == []
        page.get_by_role("button", name="Resume").click()
        expect(page.get_by_role("button", name="Pause")).to_be_visible()
        assert drive.runs_of(running, "queued") != []
        page.get_by_role("button", name="Cancel").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("Cancelled")
        expect(page.get_by_role("button", name="Cancel")).to_have_count(0)

    def test_retry_add_a_teacher_and_name(self, page: Page, running: str) -> None:
        drive.step(running, lambda _: drive.Failure("CUDA ran out of memory."))
        page.goto(f"/jobs/{running}")
        page.get_by_role("button", name="Retry what failed").click()
        expect(page.get_by_role("button", name="Retry what failed")).to_have_count(0)
        page.get_by_role("link", name="Add a teacher").click()
        page.get_by_label("Teacher").fill("cifar/resnet32")
        page.get_by_role("button", name="Add").click()
        expect(page.locator("#leaderboard").get_by_role("row", name=re.compile("resnet32"))).to_be_visible()
        page.get_by_role("link", name="Name and tags").click()
        page.get_by_label("Name").fill("Release")
        page.get_by_label("Tags").fill("nightly")
        page.get_by_role("button", name="Save").click()
        page.goto("/?search=release")
        page.get_by_role("link", name="#nightly").click()
        expect(page.get_by_role("link", name="Release")).to_be_visible()

    def test_take_the_student_and_compare(self, page: Page, running: str) -> None:
        drive.run_to_end(running)
        other = drive.submit(drive.request("cifar/resnet8w8", promote=1, epochs=2, rungs=(1, 2)))
        page.goto(f"/jobs/{running}")
        page.get_by_role("link", name="Take the student").click()
        expect(page.get_by_role("link", name="Download the weights")).to_have_attribute(
            "href", re.compile(f"/selection-jobs/{running}/student/weights")
        )
        page.goto("/")
        for job_id in (running, other):
            page.locator(f"input[value='{job_id}']").check()
        page.get_by_role("button", name="Compare").click()
        expect(page.locator("#boards").get_by_role("rowheader", name="resnet8w8")).to_be_visible()
        expect(page.locator("#differences")).to_contain_text("cifar/resnet8w8")


def test_these_pages_fit_a_phone_and_axe_finds_nothing(page: Page, running: str) -> None:
    other = drive.submit()
    page.set_viewport_size({"width": 390, "height": 844})
    job = f"/jobs/{running}"
    paths = (
        "/", "/new", f"/new?like={running}", f"{job}/teachers", f"{job}/name", "/model?search=cifar",
        "/model/cifar/resnet20", f"/compare?job={running}", f"/compare?job={running}&job={other}", "/data/digits",
    )  # fmt: skip
    for path in paths:
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
        page.evaluate("() => { for (const each of document.querySelectorAll('details')) each.open = true; }")
        page.evaluate(AXE)
        found = page.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")["violations"]
        assert [(path, each["id"], [node["html"] for node in each["nodes"][:3]]) for each in found] == []
