"""The numbers and tables of `docs/belief.md` are those that the code gives."""

from __future__ import annotations

import doctest
from pathlib import Path

from dpk_core.selection.belief.effects import EFFECTS

DOCUMENT = Path(__file__).parents[4] / "docs" / "belief.md"


def test_the_worked_example_runs_as_written() -> None:
    result = doctest.testfile(str(DOCUMENT), module_relative=False)
    assert result.attempted > 15
    assert result.failed == 0


def test_the_table_of_effects_is_the_codes() -> None:
    rows = [line.strip("| \n").split(" | ") for line in DOCUMENT.read_text().splitlines() if line.startswith("| ")]
    found = {row[0]: row for row in rows if len(row) == 5}
    for effect in EFFECTS:
        assert found[effect.name] == [
            effect.name, effect.symbol, f"{effect.sd:.3g}".removeprefix("0"), effect.column,
            found[effect.name][4],
        ]  # fmt: skip
        assert effect.source.startswith(found[effect.name][4])
