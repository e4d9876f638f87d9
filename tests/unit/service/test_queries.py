"""Queries are made in a room's repository and nowhere else, as the architecture says."""

from __future__ import annotations

import ast
from pathlib import Path

QUERIES = {"select", "update", "delete", "insert", "union_all"}
LOOKS = {"execute", "get", "get_one", "merge", "query", "scalar", "scalars"}
"""Methods of a session."""


def made_in(path: Path) -> list[str]:
    """The names by which a module makes a query."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {
        name.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "sqlalchemy"
        for name in node.names
    }  # fmt: skip
    called = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "session"
    }
    return sorted((imported & QUERIES) | (called & LOOKS))


def test_only_repositories_make_queries() -> None:
    root = Path(__file__).parents[3]
    modules = [path for room in ("service", "worker") for path in (root / room).rglob("*.py")]
    elsewhere = [path for path in modules if path.name != "repository.py" and path.parent.name != "database"]
    assert {str(path.relative_to(root)): made for path in elsewhere if (made := made_in(path))} == {}
