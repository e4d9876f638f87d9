"""Text that neither database takes: NUL, and halves of surrogate pairs, which are no characters by themselves."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.types import Scope

from service.problems import Rejected, TooLong

LONGEST_TARGET = 8_000
"""Bytes of path and query."""
MOST_PARAMETERS = 100
NOT_TEXT = re.compile("[\0\ud800-\udfff]")
SENTENCE = "This holds a character that is no text (NUL or half of a surrogate pair)."


def check_head(scope: Scope) -> None:
    """Raises TooLong, or Rejected naming path, parameter or header with such a character."""
    query: bytes = scope["query_string"]
    if len(scope["path"]) + len(query) > LONGEST_TARGET:
        raise TooLong(f"The address is longer than {LONGEST_TARGET:,} bytes.")
    try:
        parameters = parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=MOST_PARAMETERS)
    except ValueError:
        raise Rejected.at("query", f"There are more than {MOST_PARAMETERS} parameters.") from None
    named = [("path", scope["path"]), *parameters, *Headers(scope=scope).items()]
    for name, value in named:
        if NOT_TEXT.search(name) or NOT_TEXT.search(value):
            raise Rejected.at(NOT_TEXT.sub("\ufffd", name), SENTENCE)
