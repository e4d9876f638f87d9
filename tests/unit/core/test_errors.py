"""Errors in sentences."""

from __future__ import annotations

import pytest

from dpk_core.errors import first_line


@pytest.mark.parametrize(
    ("text", "expected"), [("", "RuntimeError"), ("\n", "RuntimeError"), ("\none\ntwo", "one"), ("one", "one")]
)
def test_the_first_line_of_an_error_or_what_it_is(text: str, expected: str) -> None:
    assert first_line(RuntimeError(text)) == expected
