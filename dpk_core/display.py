"""How names from a file system are shown to people: never as text that JSON, a log or a database cannot hold."""

from __future__ import annotations

import re

_UNSHOWABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def shown(text: str) -> str:
    r"""The text with bytes that are not UTF-8 (`caf\xe9`), control characters (`\n`) and surrogates escaped.

    Python hands on bytes of file names that are not UTF-8 as lone surrogates (PEP 383), which no encoder takes.
    """
    return _UNSHOWABLE.sub(_escaped, text)


def is_text(name: str) -> bool:
    """Whether a file system's name is UTF-8, so that it can be sent as it is."""
    return _SURROGATE.search(name) is None


def listed(names: list[str], most: int = 8) -> str:
    """The first names as `a, b and 3 more`."""
    more = len(names) - most
    return ", ".join(shown(name) for name in names[:most]) + (f" and {more} more" if more > 0 else "")


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else match[0].encode("unicode_escape").decode()
