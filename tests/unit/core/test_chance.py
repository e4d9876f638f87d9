"""Whether an accuracy says more than guessing does."""

from __future__ import annotations

import pytest

from dpk_core.chance import chance_sentence, is_chance


@pytest.mark.parametrize(
    ("accuracy", "pictures", "guessing", "expected"),
    [
        (0.10, 1000, 0.10, True),  # guessing itself
        (0.02, 1000, 0.10, True),  # worse than guessing
        (0.0, 1000, 0.10, True),
        (0.115, 1000, 0.10, True),  # 116 of 1000 is the first count with a p-value below .05
        (0.117, 1000, 0.10, False),
        (0.14, 50, 0.10, True),  # few pictures tell less
        (0.14, 5000, 0.10, False),
        (0.9, 1000, 0.9, True),  # one class of ten is nine tenths of the pictures
        (1.0, 3, 0.5, True),
    ],
)
def test_an_accuracy_is_chance_unless_the_binomial_test_refutes_it(
    accuracy: float, pictures: int, guessing: float, expected: bool
) -> None:
    assert is_chance(accuracy, pictures, guessing) is expected


def test_the_sentence_has_both_numbers() -> None:
    assert chance_sentence("The teacher", 0.1, 539, 0.102) == (
        "The teacher tells the classes no better than chance: 10.0% of 539 validation pictures are right, and always "
        "naming the most frequent class gets 10.2%."
    )
