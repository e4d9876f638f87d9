"""The likelihood of tables under the prior: larger where a number fits them, and the prior stays what it was."""

from __future__ import annotations

import pytest

from benchmarks import prior
from dpk_core.selection.belief import choosing, effects
from tests.unit.benchmarks.made_up_table import made_up


def test_every_number_of_the_prior_gets_its_rows_and_stays_what_it_was() -> None:
    before = effects.EFFECTS, dict(effects.PRIORS), effects.SLOPE
    found = prior.rows([made_up(), made_up("other-dpk", 1)])
    assert before == (effects.EFFECTS, effects.PRIORS, effects.SLOPE)
    assert choosing.EFFECTS is effects.EFFECTS  # type: ignore[attr-defined]
    assert len(found) == len(prior.numbers()) * len(prior.FACTORS)
    assert all(row["nats"] == 0 for row in found if row["factor"] == 1)
    assert any(row["nats"] for row in found)


@pytest.mark.parametrize(("factor", "likelier"), [(0.1, False), (1.0, True)])
def test_teachers_that_lie_far_apart_ask_for_a_wide_effect(factor: float, likelier: bool) -> None:
    own, number = made_up(), prior.Number(table="sd of an effect", name="teacher")
    usual = prior.log_likelihood(own)
    with prior.scaled(number, factor):
        assert (prior.log_likelihood(own) >= usual) is likelier
