"""Whether a command line is one that `dpk` would carry out: checked by the command's own parser, without running it."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Iterator
from typing import Any

import typer
import typer.main

from client.command import app

MISSING = "does not exist"
"""Of a file or folder that an example names; that it may be missing here says nothing about the example."""


@functools.cache
def _whole() -> Any:
    return typer.main.get_command(app)


def commands() -> Iterator[tuple[str, Any]]:
    """Every command with its full name, `dataset check` and not `dataset`."""
    return _commands("", _whole())


def _commands(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    if hasattr(command, "commands"):
        for word, inner in command.commands.items():
            yield from _commands(f"{name} {word}".strip(), inner)
    else:
        yield name, command


def fault(line: str) -> str | None:
    """What is wrong with a command line (without `dpk`), or None. Pipes, redirections and comments are left out."""
    words = _words(line)
    if words[:1] == ["--version"] or words[-1:] == ["--help"]:
        return None
    command: Any = _whole()
    context: Any = None
    while hasattr(command, "commands"):
        if not words or words[0] not in command.commands:
            return f"there is no command {words[:1]}"
        word = words.pop(0)
        command = command.commands[word]
    try:
        context = command.make_context("dpk", words)
    except typer.TyperException as error:
        return None if MISSING in str(error) else f"{error}"
    context.close()
    return None


def _words(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|><;&")
    lexer.whitespace_split = True
    words = []
    for word in lexer:
        if set(word) <= set("|><;&"):
            break
        words.append(word)
    return words
