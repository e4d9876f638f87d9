"""Pages from sample leaderboards in every state a person can meet."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Literal

import pytest

from service.presentation.trust_words import stamp_sentence
from service.web import pages
from service.web.jobs_page import JobsAsked, jobs_page
from service.wire.boards import Leaderboard, Verdict
from service.wire.jobs import JobList, JobState, TappedStage
from tests.unit.web import sample
from tests.unit.web.sample_trust import RULES

HOSTILE = '<script>alert("x")</script>&\'"/resnet'


class _Tags(HTMLParser):
    """Collects tags, attributes and text; checks that what is opened is closed."""

    VOID = frozenset({"meta", "link", "br", "img", "input", "hr"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        assert self._open == [], f"not closed: {self._open}"

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def count(self, tag: str, **attributes: str) -> int:
        wanted = {name.rstrip("_"): value for name, value in attributes.items()}
        return sum(1 for found, has in self.tags if found == tag and wanted.items() <= has.items())


def _page(board: Leaderboard) -> _Tags:
    return _Tags(pages.job_page(board))


class TestJobPage:
    @pytest.mark.parametrize("progress", sample.ORDER)
    def test_is_well_formed_and_has_one_headline_in_every_state(self, progress: sample.Progress) -> None:
        board = sample.leaderboard(progress)
        page = _page(board)
        assert page.count("h1") == 1
        rivals = 1 + len(RULES) if progress == "finished" else 0
        decisions = 1 + len(board.decisions) if board.decisions else 0
        assert page.count("tr", role="row") == 1 + len(sample.TEACHERS) + 1 + rivals + decisions

    def test_a_finished_job_leads_with_the_verdict_and_stops_refreshing(self) -> None:
        html = pages.job_page(sample.leaderboard("finished"))
        page = _Tags(html)
        assert "<h1>Take resnet20; resnet14 is within noise; both beat no teacher by about 2.1 points.</h1>" in html
        assert "data-running" not in html
        assert [each["type"] for tag, each in page.tags if tag == "script"] == ["module"]
        assert page.count("progress") == 0

    def test_a_running_job_shows_stages_remaining_time_and_refreshes(self) -> None:
        html = pages.job_page(sample.leaderboard("exploring"))
        page = _Tags(html)
        assert page.count("progress") == 5
        assert "About 2 min 08 s left." in page.text
        assert "data-running" in html
        assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in html

    def test_a_queued_job_says_that_it_waits(self) -> None:
        page = _page(sample.leaderboard("queued"))
        assert "Waiting for a worker to begin." in page.text
        assert page.count("svg", class_="chart") == 0

    def test_the_table_shows_every_number_with_its_spread(self) -> None:
        text = re.sub(r"\s+", " ", _page(sample.leaderboard("finished")).text)
        assert "resnet20 272k parameters 8 epochs of training, 12 s 96.9% 64% 95.65% ± 0.54" in text
        assert "64% 95.65% ± 0.54 95.6% 94.4 to 96.8% +2.5" in text
        assert "the last one promoted, resnet14, had 89.9%." in text

    def test_rivals_stand_beside_the_probe(self) -> None:
        page = _page(sample.leaderboard("finished"))
        text = re.sub(r"\s+", " ", page.text)
        assert "Would a cheaper rule have done? In this job, among the fully trained, the probe is shown to" in text
        assert "may have been the best. Every rule Over the 2 of 5 teachers" in text
        assert page.count("tr", class_="probe") == 1
        assert "The probe resnet20 yes 80% chance 0.00 0.00 to 0.40 0.00 – 80% of 10" in text
        assert (
            "H-score resnet14 no 0% chance 0.70 0.00 to 1.10 0.00 +0.70 +0.30 to +1.10 50% of 10 30 to 90%; lost 0.70 "
            "on average +0.70 +0.50 to +0.90; probe ahead in 3 of 7 questions, behind in 1" in text
        )
        assert "LogME resnet20 yes 80% chance 0.00 0.00 to 0.40 0.00 0.00 the same pick" in text
        assert "The largest resnet8x4 – – – – not measurable – – " in text
        assert "The nearest to the student (CKA) resnet14 or resnet20 50%" in text
        assert "LEEP – Not measured." in text

    def test_on_a_narrow_screen_every_number_of_a_rival_is_named(self) -> None:
        html = pages.job_page(sample.leaderboard("finished"))
        cells = re.findall(r"<td[^>]*>", html[html.index('<details id="rivals">') :].partition("</details>")[0])
        assert len(cells) == 7 * len(RULES)
        assert all(re.search(r'role="cell"[^>]* data-label="[^"]+"', cell) for cell in cells)

    def test_devices_are_told_apart_where_there_are_several(self) -> None:
        board = sample.leaderboard("finished")
        assert "Training time by device" not in pages.job_page(board)
        html = pages.job_page(board.model_copy(update={"ledger": sample.two_devices(board.ledger)}))
        text = re.sub(r"\s+", " ", _Tags(html).text)
        assert "Training time by device" in html
        assert "DeviceTeachers preparedExploringConfirmingLost to failures and restartsTogether" in text
        assert "GPU–1 min 14 s1 min 36 s1.5 s2 min 52 s CPU1 min 01 s–––1 min 01 s" in text

    def test_every_coefficient_has_its_interval_or_its_reason(self) -> None:
        text = re.sub(r"\s+", " ", _page(sample.leaderboard("finished")).text)
        assert "after the probe 5 0.83 −0.11 to 0.99 0.73 −0.11 to 0.99 0.63 −0.11 to 0.99" in text
        assert "full student accuracy 2 Two teachers were trained fully; a correlation needs three. Seeds" in text

    def test_a_row_of_another_protocol_is_marked(self) -> None:
        board = sample.leaderboard("finished")
        page = _page(board)
        assert page.count("abbr", title=stamp_sentence(board.trust)) == 1
        assert "save those marked" not in page.text
        rows = [board.rows[0].model_copy(update={"stamp": "0badcafe"}), *board.rows[1:]]
        text = _page(board.model_copy(update={"rows": rows})).text
        assert "save those marked" in text
        assert "protocol 0badcafe" in text

    def test_the_decisions_say_who_trained_and_why(self) -> None:
        text = re.sub(r"\s+", " ", _page(sample.leaderboard("finished")).text)
        assert (
            "2resnet20 and resnet14seeds 0 and 1, to epoch 12Training 2 arms to rung 2 lowers the expected regret"
            in text
        )
        assert "3no teacher, resnet20 and resnet14seeds 0, 1 and 2, to epoch 24Confirming. The choice is best" in text
        assert text.count("Confirming. ") == 1
        assert "Who trained, and why" not in _page(sample.leaderboard("preparing")).text

    def test_it_names_the_file_and_the_command_that_repeat_it(self) -> None:
        page = _page(sample.leaderboard())
        assert page.count("a", href=f"/selection-jobs/{sample.JOB_ID}/request", download="request.json") == 1
        report = _Tags(pages.report_page(sample.leaderboard()))
        for drawn in (page, report):
            assert "dpk submit --file request.json" in drawn.text
            assert f"dpk request {sample.JOB_ID} > request.json" in drawn.text
            assert "x86_64 CPU: dpk-select 0.1.0, torch 2.15.0" in drawn.text
        assert report.count("a", download="request.json") == 0

    def test_every_rung_of_every_seed_is_there(self) -> None:
        text = re.sub(r"\s+", " ", _page(sample.leaderboard("finished")).text)
        assert "SeedEpoch 6Epoch 12Epoch 24Test" in text
        assert re.search(r"resnet8w80\d\d\.\d\d%–––", text)

    def test_where_weights_came_from_is_said(self) -> None:
        text = re.sub(r"\s+", " ", _page(sample.with_weights()).text)
        assert "resnet20@file:mine/t.safetensors 272k parameters taken as it is, 0.4 s" in text
        assert "cifar/resnet20@file:mine/t.safetensors (sha256:12ab), taken as it is, 0.4 s" in text
        assert "cifar/resnet8w4 (resnet18.a1_in1k, timm 1.0.31)" in text

    @pytest.mark.parametrize("draw", [pages.job_page, pages.report_page])
    def test_the_maps_that_are_compared_are_named(self, draw: Callable[[Leaderboard], str]) -> None:
        board = sample.leaderboard("finished")
        assert "Feature maps that are compared" not in draw(board)
        maps = {
            "stage": "second_last",
            "student": {"module": "stages.1", "channels": 32, "side": 16},
            "teacher": {"module": "layer2", "channels": 128, "side": 4},
        }
        taps = {"timm/resnet18": [TappedStage.model_validate(maps)]}
        board = board.model_copy(update={"job": board.job.model_copy(update={"taps": taps})})
        text = _Tags(draw(board)).text
        assert "resnet18second laststages.1, 32 channels, 16×16layer2, 128 channels, 4×4" in text

    def test_charts_are_there_with_descriptions(self) -> None:
        page = _page(sample.leaderboard("finished"))
        charts = [attributes for tag, attributes in page.tags if tag == "svg" and attributes.get("class") == "chart"]
        # The learning curves, two scatters, two shares, two loss terms, the teachers, the ledger.
        assert len(charts) == 9
        assert all(chart["role"] == "img" and len(chart["aria-label"] or "") > 20 for chart in charts)

    @pytest.mark.parametrize("draw", [pages.job_page, pages.report_page])
    def test_notices_and_cautions_stand_where_they_belong(self, draw: Callable[[Leaderboard], str]) -> None:
        html = draw(sample.with_notices())
        assert html.count("resnet14 has learned nothing.") == 1
        assert html.count("cut the job short.") == 1
        (row,) = [row for row in re.findall(r"<tr role=\"row\" id=.*?</tr>", html, re.DOTALL) if "chance." in row]
        assert "<span>resnet14 " in row
        assert row.index("no better than chance.") < row.index("1 note</summary>") < row.index("drawn anew")
        headline = html.partition('<section id="headline"')[2].partition("</section>")[0]
        assert "<strong>Caution:</strong> resnet14 has learned nothing." in headline

    def test_columns_and_sections_without_a_value_are_left_out(self) -> None:
        html = pages.job_page(sample.leaderboard("queued"))
        head = html.partition("<thead")[2].partition("</thead>")[0]
        assert [name for name in ("Teacher", "Status") if f">{name}</th>" in head] == ["Teacher", "Status"]
        assert head.count("</th>") == 2
        for section in ("correlation", "fidelity", "rivals", "learning", "decisions", "ledger", "by-seed", "notices"):
            assert f'id="{section}"' not in html
        assert "–" not in _Tags(html).text
        later = pages.job_page(sample.leaderboard("exploring"))
        assert 'id="by-seed"' in later
        assert ">Test</th>" not in later

    def test_a_queued_job_has_not_started(self) -> None:
        text = _page(sample.leaderboard("queued")).text
        assert "submitted 23 Nov 2026, 09:30 UTC" in text
        assert "started" not in text

    def test_the_stages_of_a_failed_job_are_not_green(self) -> None:
        board = sample.leaderboard("exploring", state="failed")
        ended = [
            stage.model_copy(update={"state": state})
            for stage, state in zip(board.job.progress, ("done", "failed", "not_reached", "not_reached"), strict=True)
        ]
        page = _page(board.model_copy(update={"job": board.job.model_copy(update={"progress": ended})}))
        states = [
            has["class"] for tag, has in page.tags if tag == "div" and (has.get("class") or "").startswith("stage ")
        ]
        assert states == ["stage stage-done"] * 2 + ["stage stage-failed"] + ["stage stage-not_reached"] * 2
        assert "not reached" in page.text

    def test_one_seed_has_no_spread(self) -> None:
        text = _page(sample.leaderboard("finished", seeds=1)).text
        assert "1 seed ·" in text
        assert "±" not in text.replace("± is the standard deviation", "")

    @pytest.mark.parametrize("state", ["failed", "cancelled"])
    def test_a_job_that_ended_early_says_why(self, state: JobState) -> None:
        board = sample.leaderboard("exploring", state="running")
        changes = {"failure": "Every teacher failed: the loss is no longer finite."}
        board = board.model_copy(update={"job": sample.job(state, "exploring", **changes), "verdict": None})
        html = pages.job_page(board)
        begin = "Every teacher failed: the loss is no longer finite." if state == "failed" else "Cancelled by request"
        assert html.count(begin) == 1
        assert f"<h1>{begin}" in html
        assert "data-running" not in html

    def test_a_failed_candidate_shows_its_reason(self) -> None:
        board = sample.leaderboard("confirming")
        update = {"status": "failed", "reason": "Out of memory on every device.", "rank": None}
        board = board.model_copy(update={"rows": [board.rows[0].model_copy(update=update), *board.rows[1:]]})
        text = re.sub(r"\s+", " ", _page(board).text)
        assert "failed Out of memory on every device." in text

    @pytest.mark.parametrize(
        ("kind", "best", "label"),
        [("best", "cifar/resnet20", "resnet20"), ("no_teacher", None, "no teacher"), ("tie", None, None)],
    )
    def test_the_row_to_take_is_marked(
        self, kind: Literal["best", "no_teacher", "tie"], best: str | None, label: str | None
    ) -> None:
        verdict = Verdict(kind=kind, sentence="So it is.", best=best, tied=[], final=True)
        html = pages.job_page(sample.leaderboard("finished").model_copy(update={"verdict": verdict}))
        assert "<h1>So it is.</h1>" in html
        marked = re.findall(r'<tr[^>]* best">.*?</tr>', html, flags=re.DOTALL)
        assert [f"<span>{label}" in row for row in marked] == ([] if label is None else [True])

    def test_names_are_escaped_everywhere(self) -> None:
        board = sample.leaderboard("finished")
        request = board.job.request.model_copy(update={"student": HOSTILE, "dataset": HOSTILE, "teachers": [HOSTILE]})
        hostile = {"label": HOSTILE, "reason": HOSTILE, "teacher": HOSTILE}
        rows = [row.model_copy(update=hostile) for row in board.rows if row.teacher is not None]
        curves = [curve.model_copy(update={"label": HOSTILE}) for curve in board.curves]
        assert board.verdict is not None
        board = board.model_copy(
            update={
                "job": board.job.model_copy(update={"request": request}),
                "rows": rows,
                "curves": curves,
                "verdict": board.verdict.model_copy(update={"sentence": HOSTILE}),
            }
        )
        for html in (pages.job_page(board), pages.report_page(board)):
            assert "<script>alert" not in html
            assert [each for tag, each in _Tags(html).tags if tag == "script" and "src" not in each] == []
            assert HOSTILE in _Tags(html).text


class TestReport:
    def test_holds_everything_and_refers_to_nothing(self) -> None:
        html = pages.report_page(sample.leaderboard("finished"))
        page = _Tags(html)
        assert "://" not in html
        assert {"script", "link", "img", "iframe", "object"}.isdisjoint(tag for tag, _ in page.tags)
        assert not [has for tag, has in page.tags if "src" in has or (tag == "a" and has["href"] != "#content")]
        assert not re.search(r"url\((?!#)", html)
        assert "@import" not in html
        assert page.count("style") == 1
        assert page.count("svg", class_="chart") == 9

    def test_names_inside_the_charts_are_unique(self) -> None:
        names = re.findall(r' id="([^"]+)"', pages.report_page(sample.leaderboard("finished")))
        assert "leaderboard" in names
        assert len(names) == len(set(names))

    def test_of_a_running_job_does_not_try_to_refresh(self) -> None:
        html = pages.report_page(sample.leaderboard("exploring"))
        assert "data-running" not in html
        assert "refresh" not in html


class TestJobList:
    def test_shows_state_progress_leader_and_link(self) -> None:
        running = sample.job("running", "exploring").model_copy(update={"leader": "cifar/resnet20", "chance": 0.71})
        failed = sample.job("failed", "exploring", failure="The data set is broken.")
        html = jobs_page(JobList(jobs=[running, failed], next_before="abc"), "http://host/", JobsAsked(tag="a&b"))
        page = _Tags(html)
        assert page.count("a", href=f"/jobs/{sample.JOB_ID}") == 2
        assert "best with 71%" in page.text
        assert "The data set is broken." in page.text
        assert page.count("progress") == 1
        assert page.count("a", href="/?tag=a%26b&before=abc") == 1
        assert page.count("a", href="/?tag=a%26b&sort=gain") == 1

    @pytest.mark.parametrize(
        ("kind", "leader"), [("no_teacher", "no teacher"), ("undecided", "undecided"), (None, "–")]
    )
    def test_without_a_leader_says_no_teacher_only_as_an_answer(self, kind: str | None, leader: str) -> None:
        finished = sample.job(verdict_kind=kind)
        assert finished.leader is None
        html = jobs_page(JobList(jobs=[finished], next_before=None), "http://host/", JobsAsked())
        assert [each for each in ("no teacher", "undecided", "–") if f"><span>{each}</span></td>" in html] == [leader]

    def test_when_empty_says_what_to_type(self) -> None:
        text = _Tags(jobs_page(JobList(jobs=[], next_before=None), "http://host:81/", JobsAsked())).text
        assert "dpk submit --student" in text
        assert "curl -X POST http://host:81/selection-jobs" in text

    def test_a_filter_that_nothing_fits_can_be_taken_away(self) -> None:
        page = _Tags(jobs_page(JobList(jobs=[], next_before=None), "http://host/", JobsAsked(search="none")))
        assert "There are no such jobs." in page.text
        assert page.count("a", href="/") > 1
