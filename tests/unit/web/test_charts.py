"""What the charts carry: the data, the colours, the words."""

from __future__ import annotations

import itertools
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.web import figures, labels, ledger, scatter
from service.web.charts import Figure, chart
from service.web.palette import HUES, paints
from tests.unit.web import sample


class TestGradientCurves:
    def test_each_term_is_a_part_of_the_class_term(self) -> None:
        found = {figure.title: figure for figure in figures.gradient_curves(sample.leaderboard("finished"))}
        assert set(found) == {"Logit term", "Feature term"}
        values = found["Logit term"].spec["data"]["values"]
        assert {round(value["value"], 6) for value in values} == {0.4}
        assert "no teacher" not in {value["arm"] for value in values}
        assert "resnet20 from 40.0% to 40.0%" in found["Logit term"].description

    def test_are_absent_where_nothing_was_measured(self) -> None:
        assert figures.gradient_curves(sample.leaderboard("preparing")) == []


class TestLearningCurves:
    def test_carry_every_seed_their_mean_and_the_arm_without_a_teacher(self) -> None:
        found = {figure.title: figure for figure in figures.learning_curves(sample.leaderboard("finished"))}
        values = found["resnet20"].spec["data"]["values"]
        assert {value["line"] for value in values} == {"seed 0", "seed 1", "seed 2", "mean", "no teacher"}
        assert len([value for value in values if value["line"] == "seed 1"]) == sample.EPOCHS
        last = {value["line"]: value["value"] for value in values if value["epoch"] == sample.EPOCHS}
        assert last["mean"] == (last["seed 0"] + last["seed 1"] + last["seed 2"]) / 3
        assert "no teacher" not in {value["line"] for value in found["no teacher"].spec["data"]["values"]}

    def test_a_probe_that_was_not_continued_ends_early(self) -> None:
        found = {figure.title: figure for figure in figures.learning_curves(sample.leaderboard("finished"))}
        epochs = [v["epoch"] for v in found["resnet8w8"].spec["data"]["values"] if v["line"] == "mean"]
        assert max(epochs) == sample.PROBE_EPOCHS

    def test_rungs_below_the_end_are_marked(self) -> None:
        found = {figure.title: figure for figure in figures.learning_curves(sample.leaderboard("finished"))}

        def marked(title: str) -> list[int]:
            rules = [layer for layer in found[title].spec["layer"] if layer["mark"]["type"] == "rule"]
            return sorted(layer["encoding"]["x"]["datum"] for layer in rules)

        assert marked("resnet20") == [sample.PROBE_EPOCHS, 12]
        assert marked("resnet8w8") == []

    def test_are_absent_before_the_first_epoch(self) -> None:
        assert figures.learning_curves(sample.leaderboard("preparing")) == []

    def test_axes_of_a_short_training_repeat_no_number(self) -> None:
        board = sample.leaderboard("finished")
        curves = [curve.model_copy(update={"points": curve.points[:3]}) for curve in board.curves]
        short = board.model_copy(update={"curves": curves})
        for figure in [*figures.learning_curves(short), *figures.share_curves(short), *figures.teacher_curves(short)]:
            written = re.findall(r">([\d.]+%?)</text>", figure.svg)
            assert {"1", "2", "3"} <= set(written)
            assert len(written) == len(set(written))

    @pytest.mark.parametrize(
        ("last", "ticks"), [(1, [1]), (8, [*range(1, 9)]), (24, [5, 10, 15, 20]), (240, [50, 100, 150, 200])]
    )
    def test_long_trainings_get_round_epochs(self, last: int, ticks: list[int]) -> None:
        assert figures._epochs([last])["axis"]["values"] == ticks


class TestShares:
    def test_one_chart_per_stage_with_every_teacher(self) -> None:
        last, second = figures.share_curves(sample.leaderboard("finished"))
        assert (last.title, second.title) == ("Last stage", "Second-last stage")
        arms = {value["arm"] for value in last.spec["data"]["values"]}
        assert arms == {name.rpartition("/")[2] for name in sample.TEACHERS}
        assert "resnet20 from 0." in last.description


class TestScatter:
    def test_after_the_probe_every_teacher_is_measured(self) -> None:
        probe, full = scatter.scatters(sample.leaderboard("finished"))
        values = {value["label"]: value for value in probe.spec["data"]["values"]}
        assert values["resnet8x4"]["teacher"] == 0.978
        assert values["resnet8x4"]["low"] < values["resnet8x4"]["student"] < values["resnet8x4"]["high"]
        filled = {value["label"] for value in full.spec["data"]["values"] if value["fill"] != "var(--paper)"}
        assert filled == {"resnet20", "resnet14"}
        assert "Hollow" in full.caption
        assert "Hollow" not in probe.caption

    def test_the_arm_without_a_teacher_is_a_line(self) -> None:
        probe = scatter.scatters(sample.leaderboard("finished"))[0]
        board = sample.leaderboard("finished")
        bare = next(row.probe for row in board.rows if row.teacher is None)
        assert bare is not None
        assert probe.spec["layer"][0]["encoding"]["y"]["datum"] == bare.mean
        assert "no teacher: student" in probe.description

    def test_a_single_teacher_has_a_place(self) -> None:
        board = sample.leaderboard("finished")
        only = [row for row in board.rows if row.teacher in (None, "cifar/resnet20")]
        assert "<svg" in scatter.scatters(board.model_copy(update={"rows": only}))[0].svg


class TestPaint:
    def test_does_not_follow_the_rank(self) -> None:
        rows = sample.leaderboard("finished").rows
        assert paints(rows) == paints(list(reversed(rows)))

    def test_arms_beyond_the_hues_differ_in_dash_and_shape(self) -> None:
        row = sample.leaderboard("finished").rows[0]
        many = [row.model_copy(update={"candidate_id": number}) for number in range(3 * HUES)]
        looks = {(paint.colour, paint.dash, paint.shape) for paint in paints(many).values()}
        assert len(looks) == 3 * HUES


class TestLabels:
    def test_names_of_close_points_do_not_overlap(self) -> None:
        marks = [
            labels.Mark(x=100 + 3 * number, y=100, top=95, bottom=105, text=f"resnet{number}") for number in range(3)
        ]
        placed = labels.place(marks, 300, 235)
        boxes = [labels._box(mark, spot.dx, spot.dy) for mark, spot in zip(marks, placed, strict=True)]
        assert not any(labels._overlap(one, other) for one, other in itertools.combinations(boxes, 2))

    def test_names_at_the_edges_stay_inside(self) -> None:
        left, right = (labels.Mark(x=x, y=100, top=95, bottom=105, text="resnet56") for x in (5, 295))
        assert labels.place([left, right], 300, 235)[0].align == "left"
        assert labels.place([left, right], 300, 235)[1].align == "right"

    def test_the_name_of_a_line_avoids_the_points(self) -> None:
        crowd = [labels.Mark(x=x, y=100, top=70, bottom=130, text="t") for x in (10, 40)]
        spot, box = labels.along("no teacher", 100, crowd, 300, 235)
        assert spot.align == "right"
        assert labels.place([labels.Mark(x=240, y=109, top=105, bottom=113, text="long name")], 300, 235, [box])


class TestLedger:
    def test_the_chart_has_every_purpose_and_the_comparison(self) -> None:
        figure = ledger.ledger_figure(sample.leaderboard("finished").ledger)
        assert figure is not None
        minutes = [value["minutes"] for value in figure.spec["data"]["values"]]
        assert minutes == [61 / 60, 74 / 60, 96 / 60, 1.5 / 60, 371 / 60]
        assert [name for _, name in figure.key][-1] == "every teacher fully, estimated 6 min 11 s"

    def test_there_is_no_chart_of_nothing(self) -> None:
        assert ledger.ledger_figure(sample.leaderboard("queued").ledger) is None


class TestDrawing:
    def test_text_in_the_data_is_escaped_and_variables_pass_through(self) -> None:
        layer = {"mark": {"type": "text", "color": "var(--ink)"}, "encoding": {"text": {"field": "name"}}}
        spec = chart(values=[{"name": "<b>&"}], layers=[layer], height=50)
        svg = Figure(title='a"<', description="d", spec=spec).svg
        assert "&lt;b&gt;&amp;" in svg
        assert 'fill="var(--ink)"' in svg
        assert 'aria-label="a&#34;&lt;. d"' in svg
        assert "xmlns" not in svg

    def test_many_threads_may_draw_at_once(self) -> None:
        boards = [sample.leaderboard("finished", seeds=seeds) for seeds in (1, 2, 4, 5)]
        with ThreadPoolExecutor(4) as pool:
            drawn = list(pool.map(lambda board: [str(f.svg) for f in figures.learning_curves(board)], boards))
        assert drawn == [[str(f.svg) for f in figures.learning_curves(board)] for board in boards]
