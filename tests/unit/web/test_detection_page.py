"""The page of a job of detection: scores in AP, sample pictures with boxes, what students begin with."""

from __future__ import annotations

import re

from dpk_core.tasks import METRICS
from service.web import pages
from service.web.figures import learning_curve
from service.web.job_page import job_figures
from service.wire.boards import Leaderboard, SampleBox, SamplePicture, Samples
from service.wire.jobs import ComparedLevel, Detectors
from tests.unit.web import sample

FOUND = SampleBox(corners=[0.1, 0.2, 0.5, 0.6], label='cell "a"', score=0.91)
PICTURE = SamplePicture(
    name="a.jpg", width=200, height=100, picture="data:image/jpeg;base64,AAAA",
    truth=[FOUND.model_copy(update={"score": None})], student=[FOUND, FOUND], teacher=[],
)  # fmt: skip
LEVEL = ComparedLevel(name="P4", student_channels=64, teacher_channels=64, height=12, width=10, tokens=30)


def board() -> Leaderboard:
    found = sample.leaderboard()
    (row, *others) = found.rows
    metric = METRICS["detection"]
    curves = [
        curve.model_copy(update={"points": [
            point.model_copy(update={"values": {
                name.replace("accuracy", "average_precision"): value for name, value in point.values.items()
            }})
            for point in curve.points
        ]})
        for curve in found.curves
    ]  # fmt: skip
    detectors = Detectors(height=160, width=192, parameters={"detection/a": 1_598_206}, levels={"detection/b": [LEVEL]})
    return found.model_copy(
        update={
            "metric": metric, "rows": [row.model_copy(update={"inherits": True}), *others], "curves": curves,
            "job": found.job.model_copy(update={"detectors": detectors}), "verdict": None,
            "samples": Samples(candidate_id=row.candidate_id, seed=1, pictures=[PICTURE]),
        }
    )  # fmt: skip


def test_scores_are_points_of_ap() -> None:
    page = pages.job_page(board())
    table = page[page.index('<section id="leaderboard">') : page.index('<section id="samples">')]
    shown = re.sub(r"<[^>]+>", " ", table)
    assert "Average precision on validation pictures" in shown
    assert re.search(r"\d\d\.\d\d\sAP ± ", shown)
    assert "Gain over no teacher, points of AP" in shown
    assert "accuracy" not in shown
    assert "students begin with its neck and heads" in shown
    charts = " ".join(re.findall(r'aria-label="([^"]+)"', page))
    assert re.search(r"Means over the seeds: \S+ \d\d\.\d\sAP after epoch", charts)
    assert "teacher AP" in page


def test_scores_that_hardly_differ_get_as_many_decimals_as_tell_their_ticks_apart() -> None:
    found = board()
    curves = [
        curve.model_copy(update={"points": [
            point.model_copy(update={"values": {name: value / 250 for name, value in point.values.items()}})
            for point in curve.points
        ]})
        for curve in found.curves
    ]  # fmt: skip
    figure = learning_curve(found.model_copy(update={"curves": curves}))
    assert figure is not None
    written = re.findall(r">(\d\.\d+)</text>", figure.svg)
    assert len(written) > 3
    assert len(written) == len(set(written))


def test_pointing_at_a_chart_says_points_of_ap() -> None:
    for figure in job_figures(board()):
        lines = [line for layer in figure.interactive["layer"] for line in layer["encoding"].get("tooltip", [])]
        made = {
            step["as"]: step["calculate"]
            for layer in figure.interactive["layer"]
            for step in layer.get("transform", [])
            if "as" in step
        }
        scores = [
            line for line in lines if line["title"] in ("Mean", "Student average precision", "Teachers in training")
        ]
        if figure.name in ("learning", "teachers", "scatter-probe", "scatter-full"):
            assert scores
        assert all("%" not in line.get("format", "") for line in scores)
        assert all(made[line["field"]].endswith("'\N{NO-BREAK SPACE}AP' : ''") for line in scores)
        assert "Seeds, %" not in {line["title"] for line in lines}


def test_boxes_are_drawn_over_one_copy_of_each_picture() -> None:
    page = pages.job_page(board())
    samples = page[page.index('<section id="samples">') :].partition("</section>")[0]
    assert samples.count("data:image/jpeg;base64,AAAA") == 1
    assert samples.count('<use href="#sample-1"/>') == 2
    assert samples.count('<rect x="20.0" y="20.0" width="80.0" height="40.0"') == 3
    assert "cell &#34;a&#34; 0.91" in samples
    assert "<strong" not in samples
    assert "30 tokens" in page
    assert "img-src data:" in pages.report_policy()
    assert "data:image/jpeg;base64,AAAA" in pages.report_page(board())


def test_a_job_of_classes_has_none_of_it() -> None:
    page = pages.job_page(sample.leaderboard())
    assert 'id="samples"' not in page
    assert 'id="detectors"' not in page
    assert "of AP" not in page
