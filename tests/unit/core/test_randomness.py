"""Derived seeds: pinned for all time, apart from each other, fit for torch and numpy."""

from hypothesis import given
from hypothesis import strategies as st

from dpk_core.randomness import derive

LABELS = st.lists(st.one_of(st.integers(), st.text()), max_size=4)


def test_values_are_the_same_on_every_machine_and_version() -> None:
    assert derive(0, "mask", 3, "last") == 498_130_745_012_207_389
    assert derive(7) == 5_630_477_699_490_874_957


@given(seed=st.integers(), labels=LABELS)
def test_is_a_63_bit_seed_that_depends_on_nothing_else(seed: int, labels: list[int | str]) -> None:
    assert 0 <= derive(seed, *labels) < 2**63
    assert derive(seed, *labels) == derive(seed, *labels)


@given(one=LABELS, other=LABELS)
def test_other_labels_give_another_seed(one: list[int | str], other: list[int | str]) -> None:
    assert (derive(1, *one) == derive(1, *other)) is (one == other)


def test_labels_do_not_run_into_each_other() -> None:
    seeds = {derive(1, 23), derive(12, 3), derive(1, "23"), derive(1, "2", "3"), derive(1, "2:3"), derive(1, 2, 3)}
    assert len(seeds) == 6
