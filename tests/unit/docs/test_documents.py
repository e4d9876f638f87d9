"""Documents hold true: their commands are ones the command takes, their links lead somewhere, their code is code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from docs import site
from tests.command_lines import fault
from tests.unit.docs.steps import MADE_UP, ROOT, SHELL, WRITTEN, blocks, without_blocks

_INLINE = re.compile(r"`(dpk [^`]+)`")
_COMMAND = re.compile(r"(?:^|&&|; )\s*(?:[A-Z_]+=\S+ )*(?:\S*/)?dpk (.+)")


def lines(file: Path) -> Iterator[str]:
    """The command lines of a document's blocks, continued lines put together."""
    for language, text in blocks(file):
        if language in SHELL:
            yield from text.replace("\\\n", " ").splitlines()


def commands(file: Path) -> list[str]:
    """What follows `dpk` in the blocks and in running text."""
    found = [match[1] for line in lines(file) if (match := _COMMAND.search(line.removeprefix("$ ")))]
    inline = _INLINE.findall(without_blocks(file.read_text(encoding="utf-8")))
    options = [each.removeprefix("dpk ") for each in inline if " --" in each]
    return [each for each in found + options if MADE_UP not in each]


@pytest.mark.parametrize("file", WRITTEN, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_command_of_a_document_is_one(file: Path) -> None:
    assert {each: wrong for each in commands(file) if (wrong := fault(each)) is not None} == {}


def test_commands_are_found() -> None:
    assert len(commands(ROOT / "docs/quick-start.md")) >= 10
    assert any(each.startswith("submit --student") and "--teacher" in each for each in commands(ROOT / "README.md"))


def test_every_make_target_is_one() -> None:
    known = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = "\n".join(file.read_text(encoding="utf-8") for file in WRITTEN)
    asked = set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE))
    assert len(asked) > 5
    assert asked <= known


@pytest.mark.parametrize("file", WRITTEN, ids=lambda file: str(file.relative_to(ROOT)))
def test_python_in_a_document_is_python_and_imports_what_is_there(file: Path) -> None:
    for language, text in blocks(file):
        if language == "python":
            for node in ast.walk(ast.parse(text)):
                names = [node.module] if isinstance(node, ast.ImportFrom) else []
                names += [each.name for each in node.names] if isinstance(node, ast.Import) else []
                assert all(find_spec((name or "").partition(".")[0]) is not None for name in names), text


def test_the_reference_is_that_of_the_code_and_every_link_leads_somewhere() -> None:
    assert site.faults() == []


def test_the_site_holds_every_picture_that_its_pages_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    staged = tmp_path / "docs"
    monkeypatch.setattr(site, "STAGE", staged)
    site.stage()
    shown = [
        (file.parent / match[2]).resolve()
        for file in staged.rglob("*.md")
        for match in site.IMAGE.finditer(file.read_text(encoding="utf-8"))
    ]
    assert "claim.svg" in {picture.name for picture in shown}
    assert [picture for picture in shown if not picture.exists() or not picture.is_relative_to(staged)] == []


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "ROOT", tmp_path)
    (tmp_path / "a.md").write_text(
        "# A b\n[x](b.md) [y](#a-b) [z](#c) `[code](n.md)` ![p](p.png) [w](https://a.example)\n"
    )
    assert list(site.broken_links(tmp_path / "a.md")) == [
        "a.md: b.md leads nowhere.", "a.md: #c names a heading that is not there.", "a.md: p.png leads nowhere.",
    ]  # fmt: skip
