"""The reference, made from the code: commands, API, Python client, answers in JSON and settings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer.main

from client.command import app as command_app
from client.json_documents import DOCUMENTS
from client.sdk import Client
from service.app import create_app
from service.settings import Settings

FOLDER = Path(__file__).parent / "reference"
MADE = "<!-- Made from the code by `make docs`; do not edit. -->"


def pages() -> dict[str, str]:
    """Every page by its file's name."""
    makers: dict[str, Callable[[], Iterator[str]]] = {
        "commands.md": _commands, "api.md": _api, "python.md": _python, "json.md": _json, "settings.md": _settings,
    }  # fmt: skip
    return {name: "\n".join([*make(), ""]) for name, make in makers.items()}


def write() -> None:
    """Writes every page."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


def outdated() -> list[str]:
    """The pages that are not what the code says."""
    kept = {file.name: file.read_text(encoding="utf-8") for file in FOLDER.glob("*.md")}
    return sorted(name for name, text in pages().items() if kept.get(name) != text)


def _commands() -> Iterator[str]:
    yield from (
        "# Commands",
        "",
        MADE,
        "",
        "`dpk --help` lists them; [exit codes](../exit-codes.md) are the same for all.",
    )
    for name, command in _every("", typer.main.get_command(command_app)):
        yield from ("", f"## dpk {name}", "")
        *said, example = re.split(r"For example: ", inspect.cleandoc(command.help))
        yield from _paragraphs("".join(said))
        yield from ("```", example.strip(), "```", "")
        yield from _table(("option", "meaning"), [_option(each) for each in command.params if each.name != "help"])
        if name in DOCUMENTS:
            links = [f"[{each.kind.__name__}](json.md#{each.kind.__name__.lower()})" for each in DOCUMENTS[name]]
            yield from ("", f"With `--json` it prints {' or '.join(dict.fromkeys(links))}.")


def _every(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    if hasattr(command, "commands"):
        for word, inner in command.commands.items():
            yield from _every(f"{name} {word}".strip(), inner)
    else:
        yield name, command


def _option(parameter: Any) -> tuple[str, str]:
    named = parameter.param_type_name == "option"
    is_flag = getattr(parameter, "is_flag", False)
    value = "" if is_flag else f" {parameter.metavar or _kind(parameter)}"
    label = ", ".join(f"`{each}{value}`" for each in parameter.opts)
    if not named:
        label = f"`{(parameter.metavar or parameter.name.upper()).strip('[]')}`"
    help_text = parameter.help or ""
    default = parameter.default
    if (
        named
        and not is_flag
        and isinstance(default, str | int | float | Path)
        and "efault" not in help_text
        and str(default)
    ):
        help_text += f" Default: `{default}`."
    return label, help_text


def _kind(parameter: Any) -> str:
    """`INTEGER`, or the choices."""
    choices = parameter.type_descriptor.choices
    words = [str(getattr(each, "value", each)) for each in choices or ()]
    return "|".join(words) or str(parameter.bare_type()).upper()


def _api() -> Iterator[str]:
    document = create_app().openapi()
    yield from ("# HTTP API", "", MADE, "", "The OpenAPI document is at `/openapi.json`. Every error is")
    yield "`application/problem+json` (RFC 9457), with an entry for each field that is wrong."
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield from ("", f"## {method.upper()} {path}", "", f"{operation['summary']}.", "")
            yield from _paragraphs(operation["description"])
            rows = [
                (f"`{each['name']}` ({each['in']})", each.get("description", ""))
                for each in operation.get("parameters", ())
            ]
            yield from _table(("parameter", "meaning"), rows)
            yield from _bodies(operation)


def _bodies(operation: Mapping[str, Any]) -> Iterator[str]:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if body is not None:
        yield from ("", f"Body: `{_type(body)}`.")
    answers = [
        f"{status}" + (f" `{_type(schema)}`" if (schema := _schema(answer)) is not None else "")
        for status, answer in operation["responses"].items()
    ]
    yield from ("", f"Answers: {', '.join(answers)}.")


def _schema(answer: Mapping[str, Any]) -> Any:
    return answer.get("content", {}).get("application/json", {}).get("schema")


def _python() -> Iterator[str]:
    yield from ("# Python client", "", MADE, "", "`from dpk_select import Client`; [how it is used](../sdk.md).", "")
    yield from _paragraphs(inspect.getdoc(Client) or "")
    for name, each in inspect.getmembers(Client, inspect.isfunction):
        if not name.startswith("_") or name == "__init__":
            title = "Client" if name == "__init__" else name
            signature = re.sub(r"\bself, |\bself\b", "", str(inspect.signature(each)))
            signature = re.sub(r"<function \S+ at 0x[0-9a-f]+>", "…", signature)
            yield from ("", f"## {title}", "", "```", _folded(title + signature), "```", "")
            yield from _paragraphs(inspect.getdoc(each) or "")


def _folded(text: str) -> str:
    """A signature, a parameter a line where it is long."""
    text = text.replace("'", "").replace(" -> None", "")
    return text if len(text) < 100 else re.sub(r", (?=\*?\*?\w+:|\*, )", ",\n    ", text)


def _json() -> Iterator[str]:
    yield from (
        "# Answers in JSON",
        "",
        MADE,
        "",
        "What commands print with `--json`, and the API answers. Fields that a",
    )
    yield "client does not know are to be ignored; those listed here stay."
    schemas: dict[str, Any] = {}
    for each in dict.fromkeys(printed.kind for kinds in DOCUMENTS.values() for printed in kinds):
        schema = each.model_json_schema(mode="serialization")
        schemas |= schema.pop("$defs", {}) | {each.__name__: schema}
    for name, schema in sorted(schemas.items()):
        if "properties" in schema:
            yield from ("", f"## {name}", "")
            yield from _paragraphs(schema.get("description", ""))
            rows = [
                (f"`{key}`", f"`{_type(each)}`", each.get("description", ""))
                for key, each in schema["properties"].items()
            ]
            yield from _table(("field", "type", "meaning"), rows)


def _type(schema: Mapping[str, Any]) -> str:
    """A JSON schema in a few characters."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "enum" in schema:
        return " or ".join(f'"{each}"' for each in schema["enum"])
    if "const" in schema:
        return f'"{schema["const"]}"'
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(_type(each) for each in schema[several]))
    if schema.get("type") == "array":
        inner = schema.get("items") or {"type": "any"}
        return (
            f"[{_type(inner)}]" if "prefixItems" not in schema else f"[{', '.join(map(_type, schema['prefixItems']))}]"
        )
    if schema.get("type") == "object":
        inner = schema.get("additionalProperties")
        return f"object of {_type(inner)}" if isinstance(inner, Mapping) and inner else "object"
    return str(schema.get("format") or schema.get("type", "any"))


def _settings() -> Iterator[str]:
    yield from (
        "# Settings",
        "",
        MADE,
        "",
        "Environment variables of API and workers. The same for all processes of one server.",
        "",
    )
    rows = []
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        shown = "" if default in (None, "") or "Secret" in type(default).__name__ else f"`{default}`"
        rows.append((f"`DPK_{name.upper()}`", shown, field.description or ""))
    yield from _table(("variable", "default", "meaning"), rows)


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if rows:
        yield from (f"| {' | '.join(titles)} |", "|" + "---|" * len(titles))
        for row in rows:
            yield f"| {' | '.join(_cell(each) for each in row)} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in filter(None, re.split(r"\n\s*\n", inspect.cleandoc(text).strip())):
        yield from (" ".join(paragraph.split()).replace("<", "&lt;"), "")
