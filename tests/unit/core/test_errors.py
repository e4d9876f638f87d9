"""Refusals keep what they say on their way between processes."""

from __future__ import annotations

import pickle

import pytest

from dpk_core.errors import InvalidRequest


@pytest.mark.parametrize("nearest", [None, "digits"])
def test_a_refusal_comes_back_from_another_process_as_it_was(nearest: str | None) -> None:
    said = InvalidRequest("dataset", "There is no such data set.", nearest)
    heard = pickle.loads(pickle.dumps(said))  # noqa: S301 - made a line above
    assert (heard.field, heard.message, heard.nearest, str(heard)) == (
        said.field, said.message, said.nearest, str(said),
    )  # fmt: skip
