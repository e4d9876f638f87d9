"""The page that says how often stated chances came true."""

from __future__ import annotations

from service.calibration.examples import CALIBRATION
from service.calibration.schemas import Calibration
from service.web import pages
from service.web.reliability import reliability

FOUND = Calibration.model_validate(CALIBRATION)


def test_it_shows_the_sentence_the_diagram_and_every_bin() -> None:
    html = pages.record_page(FOUND)
    assert FOUND.sentence in html
    assert "From the newest 200 finished jobs." in html
    assert "60% to 80%" in html
    assert "40.0 to 85.8%" in html
    assert 'role="img"' in html
    figure = reliability(FOUND)
    assert figure is not None
    assert figure.description == "stated 69%, won 67% of 9."


def test_without_a_record_there_is_a_sentence_alone() -> None:
    nothing = FOUND.model_copy(update={"held": None, "bins": [], "sentence": "Not measurable yet."})
    assert reliability(nothing) is None
    html = pages.record_page(nothing)
    assert "Not measurable yet." in html
    assert "<table" not in html
