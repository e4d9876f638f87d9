"""What a reader of a document is asked to do, in its order: commands, code and requests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from docs import site
from tests.command_lines import fault

ROOT = Path(__file__).parents[3]
WRITTEN = [
    file
    for file in site.documents()
    if not file.is_relative_to(ROOT / "docs/reference") and file.name != "CHANGELOG.md"
]
MADE_UP = "…"
"""Stands in an example for what a reader knows better; what is around it is checked where it is a whole line."""
SHELL = ("", "bash", "sh", "console")
"""Languages of blocks with command lines; most blocks name none."""
_MENTION = re.compile("dpk (serve|worker|demo|migrate)|dpk gate$")
"""Commands that stay up, take minutes or need options; running text names them."""
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_STEP = re.compile(
    r"(?:^<!-- not run: (?P<mark>\w+) -->\n)?^```(?P<language>\w*)\n(?P<block>.*?)^```"
    r"|(?<!`)`(?:\.venv/bin/)?(?P<inline>dpk [^`\n]+)`",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Step:
    """`language`: of the block; `not_run`: the reason that the document's comment before the block gives, if any."""

    language: str
    text: str
    not_run: str | None = None


def blocks(file: Path) -> Iterator[tuple[str, str]]:
    """Language and text of each code block."""
    yield from ((match[1], match[2]) for match in _BLOCK.finditer(file.read_text(encoding="utf-8")))


def without_blocks(text: str) -> str:
    """The running text."""
    return _BLOCK.sub("", text)


def steps(text: str) -> Iterator[Step]:
    """Each block, and each whole `dpk` command in running text. A command without its arguments is only a mention."""
    for match in _STEP.finditer(text):
        if (line := match["inline"]) is None:
            yield Step(match["language"], match["block"], match["mark"])
        elif not _MENTION.match(line) and MADE_UP not in line and fault(line.removeprefix("dpk ")) is None:
            yield Step("bash", line)
