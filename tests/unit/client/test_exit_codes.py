"""One table of exit codes, wherever it is shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from client.exit_codes import ExitCode, for_docs
from tests.unit.client.conftest import Outcome

DOCS = Path(__file__).parents[3] / "docs" / "exit-codes.md"


def test_the_document_has_the_table() -> None:
    assert for_docs() in DOCS.read_text(encoding="utf-8"), "put client.exit_codes.for_docs() into docs/exit-codes.md"


@pytest.mark.parametrize("command", [(), ("best-teacher",)])
def test_help_has_the_table(dpk: Callable[..., Outcome], command: tuple[str, ...]) -> None:
    said = dpk(*command, "--help").out
    assert all(f"{code.value:>5}  {code.meaning}" in said for code in ExitCode)
