"""What the template of the HTTP API's page is given: the OpenAPI document in the order in which people read it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

_CODE = re.compile("`([^`]+)`")
_BODIES = ("application/json", "text/event-stream")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One request that the service answers."""

    name: str
    method: str
    path: str
    summary: str
    description: str
    parameters: tuple[Mapping[str, Any], ...]
    body: str
    """An example of what is sent; empty where nothing is."""
    answer: str
    """An example of what comes back."""
    answers: tuple[tuple[str, str], ...]
    """Statuses and what they mean."""


def with_code(text: str) -> Markup:
    """The text as HTML, what stands between backticks as code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped before


def docs_page_context(document: Mapping[str, Any]) -> dict[str, object]:
    """Operations by tag."""
    groups: dict[str, list[Operation]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            group = (operation.get("tags") or ["other"])[0]
            groups.setdefault(group, []).append(_operation(document, path, method, operation))
    return {"info": document["info"], "groups": groups}


def _operation(document: Mapping[str, Any], path: str, method: str, operation: Mapping[str, Any]) -> Operation:
    responses = operation["responses"]
    success: Mapping[str, Any] = next((each for status, each in responses.items() if status.startswith("2")), {})
    return Operation(
        name=operation["operationId"], method=method.upper(), path=path, summary=operation.get("summary", ""),
        description=operation.get("description", ""), parameters=tuple(operation.get("parameters", ())),
        body=_example(document, operation.get("requestBody", {})), answer=_example(document, success),
        answers=tuple((status, each["description"]) for status, each in sorted(responses.items())),
    )  # fmt: skip


def _example(document: Mapping[str, Any], content: Mapping[str, Any]) -> str:
    for kind in _BODIES:
        found = content.get("content", {}).get(kind)
        if found is None:
            continue
        example = found.get("example")
        if example is None:
            example = dict(_fields(document, found.get("schema", {})))
        return example if isinstance(example, str) else json.dumps(example, indent=2, ensure_ascii=False)
    return ""


def _fields(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The fields of a request that must be given, or have examples, with their examples."""
    name = schema.get("$ref", "").rpartition("/")[2]
    found = document["components"]["schemas"].get(name, schema)
    for field, each in found.get("properties", {}).items():
        if each.get("examples"):
            yield field, each["examples"][0]
        elif field in found.get("required", ()):
            yield field, each.get("type", "…")
