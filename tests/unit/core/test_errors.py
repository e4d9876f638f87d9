"""Errors in sentences."""

from __future__ import annotations

from multiprocessing import Pipe

import pytest

from dpk_core.errors import InvalidRequest, first_line


@pytest.mark.parametrize(
    ("text", "expected"), [("", "RuntimeError"), ("\n", "RuntimeError"), ("\none\ntwo", "one"), ("one", "one")]
)
def test_the_first_line_of_an_error_or_what_it_is(text: str, expected: str) -> None:
    assert first_line(RuntimeError(text)) == expected


@pytest.mark.parametrize("nearest", [None, "digits"])
def test_a_refusal_comes_back_from_another_process_as_it_was(nearest: str | None) -> None:
    said = InvalidRequest("dataset", "There is no such data set.", nearest)
    ours, theirs = Pipe()
    with ours, theirs:
        theirs.send(said)
        heard = ours.recv()
    assert (heard.field, heard.message, heard.nearest, str(heard)) == (
        said.field, said.message, said.nearest, str(said),
    )  # fmt: skip
