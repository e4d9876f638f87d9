"""What holds for every command: an example that its own parser takes, a documented answer in JSON, a clean Ctrl-C."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from client import command as command_line
from client import completing, entry
from client.exit_codes import ExitCode
from client.json_documents import DOCUMENTS, Printed
from client.sdk import Client
from service.wire.jobs import JobList
from tests.command_lines import commands, fault
from tests.unit.client.conftest import FakeServer, Outcome
from tests.unit.web import sample

EVERY = dict(commands())


@pytest.mark.parametrize("name", EVERY)
def test_its_help_has_an_example_that_it_takes(name: str) -> None:
    found = re.search(r"For example: dpk (.+)", EVERY[name].help)
    assert found is not None
    assert found[1].startswith(name)
    assert fault(found[1]) is None


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("sumbit", "there is no command"), ("jobs --limit many", "valid integer"), ("jobs --status done", "--status"),
        ("dataset check", "Missing"), ("export 1 --format exe", "exe"),
    ],
)  # fmt: skip
def test_a_line_that_is_none_is_found_out(line: str, said: str) -> None:
    assert said in (fault(line) or "")


def test_every_answer_in_json_is_documented() -> None:
    with_json = {name for name, each in EVERY.items() if any("--json" in param.opts for param in each.params)}
    assert with_json | {"request"} == set(DOCUMENTS)
    assert EVERY.keys() - DOCUMENTS.keys() == {
        "serve",
        "worker",
        "migrate",
        "completion",
        "webhook remove",
        "imported remove",
    }


def test_every_option_has_help() -> None:
    for name, each in EVERY.items():
        assert all(getattr(param, "help", "") or param.name == "help" for param in each.params), name


def test_ctrl_c_is_clean_wherever_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command_line, "main", interrupted)
    with pytest.raises(SystemExit) as ended:
        entry.main()
    assert ended.value.code == ExitCode.INTERRUPTED


class TestCompletion:
    def test_a_shell_is_told_what_may_come_next(self) -> None:
        asked = {"_DPK_COMPLETE": "complete_bash", "COMP_WORDS": "dpk submit --policy ad", "COMP_CWORD": "3"}
        done = subprocess.run(
            [sys.executable, "-m", "client.entry"], env={**os.environ, **asked}, capture_output=True, text=True,
            cwd=Path(__file__).parents[3],
        )  # fmt: skip
        assert (done.stdout, done.returncode) == ("adaptive\n", 0)

    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_the_script_asks_the_command(self, dpk: Callable[..., Outcome], shell: str) -> None:
        assert f"_DPK_COMPLETE=complete_{shell}" in dpk("completion", shell).out

    def test_ids_of_jobs_are_the_servers(self, server: FakeServer) -> None:
        server.answer("GET /selection-jobs?prefix=0f&limit=20", JobList(jobs=[sample.job()], next_before=None))
        assert completing.job_ids("0f") == [(sample.JOB_ID, "finished, cifar/resnet8w4 on digits")]

    def test_without_a_server_there_are_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def away(*_arguments: Any, **_options: Any) -> None:
            raise completing.ClientError("away")

        monkeypatch.setattr("client.sdk.Client.jobs", away)
        assert completing.job_ids("") == []


def test_dataset_check_prints_both_kinds_of_data_set() -> None:
    kinds = get_args(get_type_hints(Client.dataset)["return"])
    assert DOCUMENTS["dataset check"] == tuple(map(Printed, kinds))
