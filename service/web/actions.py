"""What people do on the pages: plain forms, so that nothing needs a script. Each leads to the page that shows it."""

from __future__ import annotations

import http
import uuid
from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Query
from fastapi.responses import RedirectResponse, Response
from pydantic import ValidationError

from service.actions import service as actions
from service.database.session import reading, transaction
from service.datasets.service import list_datasets
from service.outbox.service import dispatch
from service.preflight.schemas import Preflight
from service.preflight.service import preflight
from service.presentation.metric_words import WORDS
from service.problems import Conflict, NotFound, Rejected, ServiceError
from service.schemas import FieldError
from service.selection_jobs import service as jobs
from service.students.schemas import Student
from service.students.service import student, trained_arms
from service.sub_path import Root
from service.validation import field_errors
from service.web import forms, pages
from service.web.answers import page
from service.wire.jobs import Job, JobDescription, SelectionJobRequest, TeacherRequest

router = APIRouter(include_in_schema=False)

KEY = "Idempotency-Key"
Act = Callable[..., Job]
_SIMPLE: dict[str, Act] = {
    "cancel": jobs.cancel, "pause": actions.pause, "resume": actions.resume, "retry": actions.retry,
}  # fmt: skip


def _button(what: str) -> Callable[..., Response]:
    def press(root: Root, job_id: str, form: forms.Form, background: BackgroundTasks) -> Response:
        asked = {name: value for name in ("run", "teacher") if what == "retry" and (value := forms.first(form, name))}
        try:
            with transaction() as session:
                _SIMPLE[what](session, job_id, **asked)
        except ServiceError as error:
            return _cannot(root, job_id, error)
        background.add_task(dispatch)
        return _to(root, f"/jobs/{job_id}")

    return press


for _what in _SIMPLE:
    router.add_api_route(f"/jobs/{{job_id}}/{_what}", _button(_what), methods=["POST"], name=_what)


@router.get("/jobs/{job_id}/teachers")
def ask_teacher(root: Root, job_id: str) -> Response:
    """The form that adds a teacher."""
    return _teacher_page(root, job_id, "", [])


@router.post("/jobs/{job_id}/teachers")
def add_teacher(root: Root, job_id: str, form: forms.Form, background: BackgroundTasks) -> Response:
    """Adds the teacher."""
    typed = forms.first(form, "teacher")
    try:
        wanted = TeacherRequest.model_validate({"teacher": typed})
        actions.add_teacher(job_id, wanted.teacher)
    except ValidationError as error:
        return _teacher_page(root, job_id, typed, _messages(field_errors(dict(each) for each in error.errors())))
    except Rejected as error:
        return _teacher_page(root, job_id, typed, _messages(error.errors))
    except ServiceError as error:
        return _cannot(root, job_id, error)
    background.add_task(dispatch)
    return _to(root, f"/jobs/{job_id}")


@router.get("/jobs/{job_id}/name")
def ask_name(root: Root, job_id: str) -> Response:
    """The form of name and tags."""
    return _name_page(root, job_id, {}, None)


@router.post("/jobs/{job_id}/name")
def describe(root: Root, job_id: str, form: forms.Form) -> Response:
    """Gives the job a name and tags."""
    typed = forms.first(form, "name"), forms.first(form, "tags")
    try:
        tags = typed[1].replace(",", " ").split()
        wanted = JobDescription.model_validate({"name": typed[0] or None, "tags": tags})
        with transaction() as session:
            actions.describe(session, job_id, wanted)
    except ValidationError as error:
        problems: dict[str, list[str]] = {}
        for each in field_errors(dict(found) for found in error.errors()):
            problems.setdefault(each.field.partition("[")[0], []).append(each.message)
        return _name_page(root, job_id, problems, typed)
    except ServiceError as error:
        return _cannot(root, job_id, error)
    return _to(root, f"/jobs/{job_id}")


@router.get("/jobs/{job_id}/student")
def take(root: Root, job_id: str, teacher: Annotated[str | None, Query(max_length=400)] = None) -> Response:
    """The trained student, to be taken away."""
    try:
        with reading() as session:
            job = jobs.get(session, job_id)
            arms = trained_arms(session, job_id)
        taken: Student = student(job_id, teacher, None)
    except Conflict as error:
        if not arms:
            return _cannot(root, job_id, error)
        return page(pages.render("student_choice.html", root=root, live=False, job=job, sentence=str(error), arms=arms))
    except ServiceError as error:
        return _cannot(root, job_id, error)
    return page(
        pages.render(
            "student.html", root=root, live=False, job=job, student=taken, teacher=teacher, words=WORDS[taken.task]
        )
    )


@router.get("/new")
def ask(
    root: Root, like: str = "", student: str = "", dataset: str = "",
    teacher: Annotated[list[str] | None, Query(max_length=32)] = None,
) -> Response:  # fmt: skip
    """The form of a new job, empty or filled from the job `like`."""
    try:
        base = _base(like)
    except NotFound as error:
        return _cannot(root, "", error)
    found = forms.filled_from(base, {"student": student, "dataset": dataset}, teacher or [])
    found.like, found.key = like if base else "", str(uuid.uuid4())
    return _form_page(root, found, None)


@router.post("/new")
def submit(root: Root, form: forms.Form, background: BackgroundTasks) -> Response:
    """Submits the form, or says what the job would come to where `check` was pressed."""
    try:
        base = _base(forms.first(form, "like"))
    except NotFound as error:
        return _cannot(root, "", error)
    found = forms.filled_by(form, base)
    request, errors = forms.request_of(found, base)
    checked: Preflight | None = None
    if request is not None:
        try:
            if "check" not in form:
                job = jobs.submit(request, found.key or None)
                background.add_task(dispatch)
                return _to(root, job.links.page)
            checked = preflight(request)
        except Rejected as error:
            errors = list(error.errors)
    if any(each.field == KEY for each in errors):
        found.key = str(uuid.uuid4())
        errors = [
            FieldError(field="form", message="It was submitted before with other values; submit again for a new job.")
        ]
    found.explain(errors)
    return _form_page(root, found, checked, status=422 if errors and "check" not in form else 200)


def _to(root: str, path: str) -> Response:
    """To the page that shows what a form has done; reloading it posts nothing again."""
    return RedirectResponse(root + path, http.HTTPStatus.SEE_OTHER)


def _base(like: str) -> SelectionJobRequest | None:
    """The request of the job that a form is like, with the tags that the job has now, and to be named anew."""
    if not like:
        return None
    with reading() as session:
        job = jobs.get(session, like)
    return job.request.model_copy(update={"name": None, "tags": job.tags})


def _form_page(root: str, filled: forms.Filled, checked: Preflight | None, status: int = 200) -> Response:
    names = [each.name for each in list_datasets().datasets]
    return page(
        pages.render(
            "new.html", root=root, live=False, form=filled, checked=checked, datasets=names, methods=forms.methods(),
            policies=forms.POLICIES, recipes=forms.recipes(),
        ),
        status=status,
    )  # fmt: skip


def _teacher_page(root: str, job_id: str, typed: str, problems: list[str]) -> Response:
    try:
        with reading() as session:
            job = jobs.get(session, job_id)
    except NotFound as error:
        return _cannot(root, "", error)
    text = pages.render("add_teacher.html", root=root, live=False, job=job, typed=typed, problems=problems)
    return page(text, status=422 if problems else 200)


def _name_page(root: str, job_id: str, problems: dict[str, list[str]], typed: tuple[str, str] | None) -> Response:
    try:
        with reading() as session:
            job = jobs.get(session, job_id)
    except NotFound as error:
        return _cannot(root, "", error)
    name, tags = typed or (job.name or "", " ".join(job.tags))
    text = pages.render("name.html", root=root, live=False, job=job, name=name, tags=tags, problems=problems)
    return page(text, status=422 if problems else 200)


def _messages(errors: list[FieldError] | tuple[FieldError, ...]) -> list[str]:
    return [each.message + (f" The nearest is {each.nearest}." if each.nearest else "") for each in errors]


def _cannot(root: str, job_id: str, error: ServiceError) -> Response:
    """Why it was not done, and the way back."""
    gone = isinstance(error, NotFound)
    title = "There is no such job" if gone else "This cannot be done now" if isinstance(error, Conflict) else "Not done"
    back = ("/", "All jobs") if gone or not job_id else (f"/jobs/{job_id}", "The job")
    return page(pages.missing_page(str(error), root, title, *back), status=error.status)
