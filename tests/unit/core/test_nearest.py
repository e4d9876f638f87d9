"""What is offered in place of a mistyped word."""

from __future__ import annotations

import pytest

from dpk_core.nearest import nearest


@pytest.mark.parametrize(
    ("word", "found"), [("digit", "digits"), ("DIGITS", "digits"), ("cifar10", "cifar100"), ("qqqq", None), ("", None)]
)
def test_only_what_is_alike_is_offered(word: str, found: str | None) -> None:
    assert nearest(word, ("digits", "cifar100", "small")) == found
