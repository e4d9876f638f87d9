"""The command as a whole: help, version, and how it ends when its output or the machine fails."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import get_args

import pytest

from client import jobs
from client.exit_codes import ExitCode
from dpk_core.recipes import DETECTION_RECIPES, RECIPES
from dpk_core.spec import TAUGHT_METHODS, TaughtMethodName
from service.wire.jobs import PolicyName
from tests.unit.client.conftest import FakeServer, Outcome
from tests.unit.web import sample

Dpk = Callable[..., Outcome]
COMMANDS = [
    "demo",
    "serve",
    "submit",
    "jobs",
    "watch",
    "leaderboard",
    "best-teacher",
    "gate",
    "cancel",
    "pause",
    "resume",
    "retry",
    "add-teacher",
    "name",
    "worker",
    "migrate",
]


class TestHelp:
    def test_names_every_command_and_exit_code(self, dpk: Dpk) -> None:
        out = dpk("--help").out
        lines = [line.strip() for line in out.splitlines()]
        assert [line.split()[0] for line in lines if line.split()[:1] and line.split()[0] in COMMANDS] == COMMANDS
        for code in ExitCode:
            assert f"{code:d}  {code.meaning}" in lines

    def test_brackets_are_shown_and_choices_are_those_of_the_code(self, dpk: Dpk) -> None:
        out = " ".join(dpk("submit", "--help").out.split())
        assert "family/name[@weights]." in out
        assert "[,preparation[=epochs]]" in out
        for choices in (get_args(TaughtMethodName), get_args(PolicyName), RECIPES):
            assert f"One of: {', '.join(choices)}." in out
        for choices in (TAUGHT_METHODS["detection"], DETECTION_RECIPES):
            assert f"On boxes: {', '.join(choices)}." in out

    @pytest.mark.parametrize("command", COMMANDS)
    def test_every_command_has_a_line_that_is_not_cut(self, dpk: Dpk, command: str) -> None:
        (line,) = [line for line in dpk("--help").out.splitlines() if line.split()[:1] == [command]]
        assert not line.endswith("...")
        assert dpk(command, "--help").code == 0

    def test_version(self, dpk: Dpk) -> None:
        assert dpk("--version").out.startswith("dpk ")


class TestOutput:
    @pytest.mark.parametrize("arguments", [["leaderboard"], ["leaderboard", "--json"], ["watch"]])
    def test_a_reader_that_leaves_ends_it_quietly(
        self, server: FakeServer, dpk: Dpk, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
    ) -> None:
        server.answer(f"GET /selection-jobs/{sample.JOB_ID}/leaderboard", sample.leaderboard())
        server.answer(f"GET /selection-jobs/{sample.JOB_ID}", sample.job())
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, "w") as pipe:
            monkeypatch.setattr(sys, "stdout", pipe)
            done = dpk(*arguments, sample.JOB_ID)
        assert (done.code, done.err) == (ExitCode.PIPE_CLOSED, "")

    @pytest.mark.parametrize("line", [["--help"], ["submit", "--help"], ["--version"]])
    def test_so_it_does_while_the_options_are_read(
        self, dpk: Dpk, monkeypatch: pytest.MonkeyPatch, line: list[str]
    ) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, "w") as pipe:
            monkeypatch.setattr(sys, "stdout", pipe)
            done = dpk(*line)
        assert (done.code, done.err) == (ExitCode.PIPE_CLOSED, "")

    def test_what_the_machine_does_not_give_is_one_sentence(
        self, server: FakeServer, dpk: Dpk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_arguments: object, **_options: object) -> None:
            raise OSError(28, "No space left on device", "reports/1.json")

        server.answer(f"GET /selection-jobs/{sample.JOB_ID}/leaderboard", sample.leaderboard())
        monkeypatch.setattr(jobs, "print_leaderboard", full)
        done = dpk("leaderboard", sample.JOB_ID)
        assert (done.code, done.err) == (ExitCode.WRONG_USE, "reports/1.json: No space left on device.\n")
