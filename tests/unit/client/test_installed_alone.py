"""The client works where only the base distribution is installed, and says what is missing for the rest."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

import dpk_select
from client import extras
from client.notebook import NotebookLeaderboard
from tests.unit.client.conftest import Outcome
from tests.unit.web import sample

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
IMPORTS = {"pydantic-settings": "pydantic_settings", "pillow": "PIL", "pyyaml": "yaml", "scikit-learn": "sklearn"}
IMPORTS |= {"vl-convert-python": "vl_convert", "dpk-select": "dpk_select"}

ALONE = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Missing())
import dpk_select
from client.command import main
main(["submit", "--help"])
"""


def packages(requirements: list[str]) -> set[str]:
    """Names that are imported."""
    names = [re.split(r"[^\w-]", requirement)[0] for requirement in requirements]
    return {IMPORTS.get(name, name) for name in names}


def test_the_client_needs_four_packages() -> None:
    assert packages(PROJECT["dependencies"]) == {"httpx", "pydantic", "typer", "rich"}


def test_the_client_and_its_command_import_nothing_of_the_extras() -> None:
    every = PROJECT["optional-dependencies"]
    missing = packages(every["server"] + every["runner"] + every["parquet"]) - {"dpk_select"}
    assert {"torch", "fastapi", "sqlalchemy", "celery", "numpy", "scipy"} <= missing
    done = subprocess.run(
        [sys.executable, "-c", ALONE.format(missing=missing)], capture_output=True, text=True, cwd=ROOT
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "--teacher" in done.stdout


def test_every_package_of_an_extra_that_is_looked_for_is_in_it() -> None:
    for extra, looked_for in extras.PACKAGES.items():
        assert set(looked_for) <= packages(PROJECT["optional-dependencies"][extra])


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        (["serve"], "server"), (["migrate"], "server"), (["worker", "--queues", "control"], "server"),
        (["worker"], "runner"), (["demo"], "server"),
    ],
)  # fmt: skip
def test_a_command_says_which_extra_to_install(
    command: list[str], extra: str, dpk: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    done = dpk(*command)
    assert done.code == 2
    assert f"which this Python does not have; install dpk-select[{extra}] here" in done.err


def test_the_documented_example_runs(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten lines, against answers of the wire's kind."""
    answers = {
        "/selection-jobs": sample.job("queued"),
        f"/selection-jobs/{sample.JOB_ID}": sample.job(),
        f"/selection-jobs/{sample.JOB_ID}/leaderboard": sample.leaderboard(),
    }

    class Client(dpk_select.Client):
        def __init__(self, address: str) -> None:
            def answer(request: httpx.Request) -> httpx.Response:
                return httpx.Response(200, content=answers[request.url.path].model_dump_json())

            super().__init__(address, transport=httpx.MockTransport(answer))

    monkeypatch.setattr(dpk_select, "Client", Client)
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/sdk.md").read_text(), re.DOTALL)
    assert len(example.splitlines()) <= 10
    exec(example, {})  # noqa: S102 - of our own documents
    said = capsys.readouterr().out
    assert "finished None" in said
    board = sample.leaderboard()
    assert board.verdict is not None
    assert board.verdict.sentence in said
    assert all(row.label in said for row in board.rows)


def test_a_notebook_shows_the_verdict_and_every_row_with_names_as_text() -> None:
    board = sample.leaderboard()
    board.rows[0].label = "<b>own</b>"
    html = NotebookLeaderboard.model_validate(board.model_dump())._repr_html_()
    assert board.verdict is not None
    assert board.verdict.sentence in html
    assert html.count("<tr>") == 1 + len(board.rows)
    assert "&lt;b&gt;own" in html
    assert "<b>own" not in html
