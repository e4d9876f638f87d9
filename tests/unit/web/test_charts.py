"""What the charts carry: the data, the colours, the words."""

from __future__ import annotations

import itertools
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
import vl_convert
from cachetools import LRUCache

from service.web import charts, figures, labels, ledger, scatter
from service.web.charts import Figure, chart
from service.web.job_page import job_figures
from service.web.palette import HUES, paints
from service.wire.boards import Leaderboard, Purposes
from tests.unit.web import sample


def _learning(board: Leaderboard) -> Figure:
    found = figures.learning_curve(board)
    assert found is not None
    return found


class TestInteractive:
    def test_a_browser_gets_the_same_data_with_zoom_pointing_and_switches(self) -> None:
        figure = _learning(sample.leaderboard("finished"))
        spec = figure.interactive
        assert spec["data"] == figure.spec["data"]
        assert spec["params"] == [{"name": "hidden", "value": []}]
        params = {param["name"] for layer in spec["layer"] for param in layer.get("params", ())}
        assert params == {"zoom", "pointed"}
        zoomed = next(layer for layer in spec["layer"] if "params" in layer)
        assert {"field"} <= zoomed["encoding"]["x"].keys() & zoomed["encoding"]["y"].keys()

    def test_every_chart_of_a_page_compiles_and_has_a_name_of_its_own(self) -> None:
        found = job_figures(sample.leaderboard("finished"))
        assert len({figure.name for figure in found}) == len(found) == 9
        for figure in found:
            vl_convert.vegalite_to_vega(figure.interactive)

    def test_only_values_above_0_get_a_logarithmic_axis(self) -> None:
        board = sample.leaderboard("finished")
        assert figures.share_curves(board)[0].log == "y"
        flat = [
            curve.model_copy(
                update={"points": [p.model_copy(update={"values": {"share.last": 0.0}}) for p in curve.points]}
            )
            for curve in board.curves
        ]
        assert figures.share_curves(board.model_copy(update={"curves": flat}))[0].log is None


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
    def test_carry_every_seed_and_the_mean_of_every_arm(self) -> None:
        values = _learning(sample.leaderboard("finished")).spec["data"]["values"]
        arms = {value["arm"] for value in values}
        assert arms == {name.rpartition("/")[2] for name in sample.TEACHERS} | {"no teacher"}
        mine = [value for value in values if value["arm"] == "resnet20"]
        last = {value.get("seed", "mean"): value["value"] for value in mine if value["epoch"] == sample.EPOCHS}
        assert set(last) == {0, 1, 2, "mean"}
        assert last["mean"] == pytest.approx((last[0] + last[1] + last[2]) / 3, abs=1e-4)
        assert len([value for value in mine if value.get("seed") == 1]) == sample.EPOCHS
        (mean,) = [value for value in mine if "seed" not in value and value["epoch"] == sample.EPOCHS]
        assert mean["seeds"] == ", ".join(f"{100 * last[seed]:.1f}" for seed in range(3))

    def test_a_probe_that_was_not_continued_ends_early(self) -> None:
        values = _learning(sample.leaderboard("finished")).spec["data"]["values"]
        ends = [value["epoch"] for value in values if value["arm"] == "resnet8w8" and value.get("last")]
        assert ends == [sample.PROBE_EPOCHS]

    def test_rungs_below_the_end_are_marked_once(self) -> None:
        def marked(progress: sample.Progress) -> list[int]:
            layers = _learning(sample.leaderboard(progress)).spec["layer"]
            assert all(layer["data"] == {"values": [{}]} for layer in layers if layer["mark"]["type"] == "rule")
            return [layer["encoding"]["x"]["datum"] for layer in layers if layer["mark"]["type"] == "rule"]

        assert marked("finished") == [sample.PROBE_EPOCHS, 12]
        assert marked("exploring") == []

    def test_are_absent_before_the_first_epoch(self) -> None:
        assert figures.learning_curve(sample.leaderboard("preparing")) is None

    def test_axes_of_a_short_training_repeat_no_number(self) -> None:
        board = sample.leaderboard("finished")
        curves = [curve.model_copy(update={"points": curve.points[:3]}) for curve in board.curves]
        short = board.model_copy(update={"curves": curves})
        for figure in [_learning(short), *figures.share_curves(short), *figures.teacher_curves(short)]:
            written = re.findall(r">([\d.]+%?)</text>", figure.svg)
            assert {"1", "2", "3"} <= set(written)
            assert len(written) == len(set(written))

    def test_a_long_training_is_thinned_and_keeps_its_end(self) -> None:
        thinned = figures._thinned([(epoch, 0.5) for epoch in range(1, 1001)], 48)
        assert len(thinned) <= 48
        assert thinned[-1] == (1000, 0.5)

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
        values = {value["arm"]: value for value in probe.spec["data"]["values"]}
        assert values["resnet8x4"]["teacher"] == 0.978
        assert values["resnet8x4"]["low"] < values["resnet8x4"]["student"] < values["resnet8x4"]["high"]
        filled = {value["arm"] for value in full.spec["data"]["values"] if value["fill"] != "var(--paper)"}
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
        boxes = [labels._box(mark, spot) for mark, spot in zip(marks, placed, strict=True)]
        assert not any(labels._overlap(one, other) for one, other in itertools.combinations(boxes, 2))

    def test_names_at_the_edges_stay_inside(self) -> None:
        left, right = (labels.Mark(x=x, y=100, top=95, bottom=105, text="resnet56") for x in (5, 295))
        assert labels.place([left, right], 300, 235)[0].align == "left"
        assert labels.place([left, right], 300, 235)[1].align == "right"

    @pytest.mark.parametrize("x", [0, 60, 150, 300])
    def test_a_long_name_stays_inside_and_off_its_point(self, x: float) -> None:
        mark = labels.Mark(x=x, y=100, top=95, bottom=105, text="fasterrcnn_mobilenet_v3_large")
        left, top, right, bottom = labels._box(mark, labels.place([mark], 300, 235)[0])
        assert 0 <= left < right <= 300
        assert top >= 100 or bottom <= 100 or left > x or right < x

    def test_the_name_of_a_line_avoids_the_points(self) -> None:
        crowd = [labels.Mark(x=x, y=100, top=70, bottom=130, text="t") for x in (10, 40)]
        spot, box = labels.along("no teacher", 100, crowd, 300, 235)
        assert spot.align == "right"
        assert labels.place([labels.Mark(x=240, y=109, top=105, bottom=113, text="long name")], 300, 235, [box])


class TestLedger:
    def test_the_chart_has_every_purpose_and_the_comparison(self) -> None:
        figure = ledger.ledger_figure(sample.leaderboard("finished").ledger)
        assert figure is not None
        minutes = [value["time"] for value in figure.spec["data"]["values"]]
        assert minutes == [61 / 60, 74 / 60, 96 / 60, 1.5 / 60, 371 / 60]
        assert [name for _, name in figure.key][-1] == "every teacher fully, estimated 6 min 11 s"

    @pytest.mark.parametrize(("seconds", "unit"), [(5.0, "seconds"), (130.0, "minutes"), (9000.0, "hours")])
    def test_its_axis_is_in_a_unit_that_fits(self, seconds: float, unit: str) -> None:
        little = dict.fromkeys(Purposes.model_fields, 0.5)
        spent = sample.leaderboard("finished").ledger.model_copy(update={**little, "exhaustive": seconds})
        figure = ledger.ledger_figure(spent)
        assert figure is not None
        assert figure.spec["layer"][0]["encoding"]["x"]["title"] == f"{unit} of training"

    def test_there_is_no_chart_of_nothing(self) -> None:
        assert ledger.ledger_figure(sample.leaderboard("queued").ledger) is None


class TestDrawing:
    def test_text_in_the_data_is_escaped_and_variables_pass_through(self) -> None:
        layer = {"mark": {"type": "text", "color": "var(--ink)"}, "encoding": {"text": {"field": "name"}}}
        spec = chart(values=[{"name": "<b>&"}], layers=[layer], height=50)
        svg = Figure(name="a", title='a"<', description="d", spec=spec).svg
        assert "&lt;b&gt;&amp;" in svg
        assert 'fill="var(--ink)"' in svg
        assert 'aria-label="a&#34;&lt;. d"' in svg
        assert "xmlns" not in svg

    def test_what_is_written_keeps_its_digits_and_what_is_drawn_loses_them(self) -> None:
        svg = figures.share_curves(sample.leaderboard("finished"))[0].svg
        assert ">0.25</text>" in svg
        assert not re.search(r' d="[^"]*\d\.\d\d', svg)
        assert "role-" not in svg

    def test_many_threads_may_draw_at_once(self) -> None:
        boards = [sample.leaderboard("finished", seeds=seeds) for seeds in (1, 2, 4, 5)]
        with ThreadPoolExecutor(4) as pool:
            drawn = list(pool.map(lambda board: [str(f.svg) for f in figures.share_curves(board)], boards))
        assert drawn == [[str(f.svg) for f in figures.share_curves(board)] for board in boards]


def test_drawn_charts_are_kept_up_to_a_number_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []

    def draw(spec: str, **_: object) -> str:
        drawn.append(spec)
        return "<svg>" + "." * 40 + "</svg>"

    monkeypatch.setattr(vl_convert, "vegalite_to_svg", draw)
    monkeypatch.setattr(charts, "_drawn", LRUCache(100, getsizeof=len))
    long, other = "x" * 1000, "y" * 1000
    for spec in (long, long, other, long):
        charts._draw(spec)
    assert drawn == [long, other, long]
    monkeypatch.setattr(charts, "BYTES_KEPT", 10)
    assert charts._draw("larger than all that is kept").startswith("<svg>")
