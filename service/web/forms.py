"""Forms as browsers post them, and the requests that they stand for.

That a form is posted for one of the server's own pages is seen to before any endpoint, by `Origin` and
`Sec-Fetch-Site` (`service.doors.hosts`): there are no cookies that a token could be bound to, and every browser sends
one of the two headers with each form it posts, which no page can forge.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, get_args
from urllib.parse import parse_qsl

from fastapi import Depends, Request
from pydantic import ValidationError

from service.doors.texts import NOT_TEXT, SENTENCE
from service.methods.service import list_methods, list_recipes
from service.problems import Rejected
from service.scheduling.states import PolicyName
from service.schemas import FieldError
from service.selection_jobs.replays import LONGEST_KEY
from service.validation import field_errors
from service.wire.jobs import SelectionJobRequest

MOST_FIELDS = 200
EMPTY_TEACHERS = 2
"""Lines for further teachers under those that are named."""
POLICIES: Sequence[str] = get_args(PolicyName)

Posted = Mapping[str, Sequence[str]]
"""Values by the field's name, in their order."""

BUDGET = (
    "epochs", "policy", "promote", "chance", "margin", "seconds", "wall_seconds", "runs", "teacher_epochs",
    "batch_size",
)  # fmt: skip
"""Fields of the budget that the form has; a request's others are kept as they are."""
TOP = ("student", "dataset", "method", "recipe", "seeds", "name")


async def _posted(request: Request) -> Posted:
    return fields_of(await request.body())


Form = Annotated[Posted, Depends(_posted)]


def fields_of(body: bytes) -> Posted:
    """The fields of `application/x-www-form-urlencoded`. Raises Rejected for what is none, or holds what is no text."""
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise Rejected.at("body", "This is no form.") from None
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        if NOT_TEXT.search(name) or NOT_TEXT.search(value):
            raise Rejected.at(NOT_TEXT.sub("\ufffd", name), SENTENCE)
        found.setdefault(name, []).append(value)
    return found


def first(posted: Posted, name: str) -> str:
    """The field's value without spaces at its ends; empty where there is none."""
    return (posted.get(name) or [""])[0].strip()


@dataclass(slots=True)
class Filled:
    """The form of a new job: what stands in its fields, and what is wrong, by field."""

    values: dict[str, str] = field(default_factory=dict)
    teachers: list[str] = field(default_factory=list)
    like: str = ""
    key: str = ""
    kept: list[str] = field(default_factory=list)
    """What of the job that it is like is kept although the form has no field for it, in words."""
    problems: dict[str, list[str]] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)
    """Problems with what the form has no field for."""

    @property
    def lines(self) -> list[str]:
        """The teachers, and empty lines for more."""
        return [*self.teachers, *[""] * max(EMPTY_TEACHERS, 3 - len(self.teachers))]

    def explain(self, errors: Iterable[FieldError]) -> None:
        """Puts each error beside its field."""
        for error in errors:
            near = f" The nearest is {error.nearest}." if error.nearest else ""
            name = _field_of(error.field, len(self.teachers))
            if name in self.values or name.startswith("teacher-") or name in ("teachers", "tags"):
                self.problems.setdefault(name, []).append(error.message + near)
            else:
                self.others.append(f"{error.field}: {error.message}{near}")


def filled_from(request: SelectionJobRequest | None, asked: Mapping[str, str], teachers: Sequence[str]) -> Filled:
    """The form before anybody has typed: as the job that it is like, with what the address names in its place."""
    found = Filled(values=dict.fromkeys((*TOP, *BUDGET, "tags"), ""), teachers=list(teachers))
    found.values |= {"method": "dpk", "seeds": "3", "policy": "adaptive"}
    if request is not None:
        document = request.model_dump(mode="json", exclude_defaults=True)
        budget = document.get("budget", {})
        found.values |= {name: str(budget[name]) for name in BUDGET if budget.get(name) is not None}
        found.values |= {
            "student": request.student.label, "dataset": request.dataset, "seeds": str(request.seeds),
            "method": request.method.name, "recipe": (request.recipe and request.recipe.name) or "",
            "name": request.name or "", "tags": " ".join(request.tags),
        }  # fmt: skip
        found.teachers = [*(each.label for each in request.teachers), *teachers]
        found.kept = _kept(document)
    found.values |= {name: value for name, value in asked.items() if name in found.values and value}
    return found


def filled_by(posted: Posted, base: SelectionJobRequest | None) -> Filled:
    """The form as it was posted. Raises Rejected for a key that is longer than any that a form is sent with."""
    found = filled_from(base, {}, [])
    found.values |= {name: first(posted, name) for name in found.values if name in posted}
    found.teachers = [each.strip() for each in posted.get("teacher", []) if each.strip()]
    found.like, found.key = first(posted, "like"), first(posted, "key")
    if len(found.key) > LONGEST_KEY:
        raise Rejected.at("key", f"This must have at most {LONGEST_KEY} characters.")
    return found


def request_of(filled: Filled, base: SelectionJobRequest | None) -> tuple[SelectionJobRequest | None, list[FieldError]]:
    """What the form asks for, or what is wrong with it. A teacher of `base` stays prepared as it is there."""
    document = {} if base is None else base.model_dump(mode="json", exclude_unset=True)
    known = {} if base is None else {each.label: each for each in base.teachers}
    for name in TOP:
        _put(document, name, filled.values[name])
    budget = dict(document.get("budget") or {})
    for name in BUDGET:
        _put(budget, name, filled.values[name])
    if base is not None and filled.values["epochs"] != str(base.budget.epochs or ""):
        budget.pop("rungs", None)  # those of another number of epochs
    teachers = [known[each].model_dump(mode="json") if each in known else each for each in filled.teachers]
    document |= {"teachers": teachers, "budget": budget, "tags": filled.values["tags"].replace(",", " ").split()}
    if base is not None:
        if filled.values["dataset"] != base.dataset:
            document.pop("task", None)  # it follows the data set
        document["method"] = _choice(document.get("method"), base.method)
        document["recipe"] = _choice(document.get("recipe"), base.recipe)
    try:
        return SelectionJobRequest.model_validate(document), []
    except ValidationError as error:
        return None, field_errors(dict(each) for each in error.errors())


def _choice(name: object, base: Any) -> object:
    """A method or recipe with the settings of the job that the form is like, where it is the same one."""
    same = base is not None and name == base.name
    return base.model_dump(mode="json", exclude_unset=True) if same and base.settings else name


def _put(document: dict[str, Any], name: str, value: str) -> None:
    if value:
        document[name] = value
    else:
        document.pop(name, None)


def _kept(document: Mapping[str, Any]) -> list[str]:
    """What the form does not show of a request."""
    found = [f"budget.{name}" for name in document.get("budget", {}) if name not in (*BUDGET, "rungs")]
    for name in ("method", "recipe"):
        if isinstance(settings := document.get(name), dict):
            found += [f"{name}.{each}" for each in settings if each != "name"]
    teachers = [each for each in document.get("teachers", []) if isinstance(each, dict)]
    return found + [f"the preparation of {each['model']}" for each in teachers]


def _field_of(place: str, teachers: int) -> str:
    """The form's field that an error is about."""
    if place.startswith("teachers["):
        number = int(place[len("teachers[") : place.index("]")])
        return f"teacher-{number}" if number < teachers else "teachers"
    name = place.removeprefix("budget.")
    return name.partition(".")[0].partition("[")[0]


def methods() -> list[str]:
    """The names of all methods, each once."""
    return list(dict.fromkeys(each.name for each in list_methods().methods))


def recipes() -> list[str]:
    """The names of all recipes, each once."""
    return list(dict.fromkeys(each.name for each in list_recipes().recipes))
