"""Pages to look around in: the table of jobs, two jobs side by side, and models."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from service.database.dependencies import Reading
from service.database.session import reading
from service.leaderboards import service as leaderboards
from service.models import service as models
from service.problems import NotFound
from service.selection_jobs import service as jobs
from service.sub_path import Root
from service.web import pages
from service.web.answers import page
from service.web.comparison import comparison
from service.web.jobs_page import JobsAsked, jobs_page
from service.web.model_page import model_page

router = APIRouter(include_in_schema=False)


@router.get("/")
def table(session: Reading, request: Request, root: Root, asked: Annotated[JobsAsked, Query()]) -> Response:
    """The list of jobs."""
    return page(jobs_page(jobs.list_jobs(session, **asked.chosen()), str(request.base_url), asked, root))


@router.get("/compare")
def compare(root: Root, job: Annotated[list[str] | None, Query(max_length=20)] = None) -> Response:
    """Two jobs side by side, or the choice of a second one."""
    ids = list(dict.fromkeys(job or []))
    try:
        if len(ids) == 2:
            boards = [leaderboards.made(each).leaderboard() for each in ids]
            return page(pages.render("compare.html", root=root, live=False, **comparison(*boards)))
        with reading() as session:
            ids = [jobs.job_of(session, each).id for each in ids]
            listed = jobs.list_jobs(session, limit=50)
    except NotFound as error:
        return _nothing(root, "There is no such job", str(error), ("/", "All jobs"))
    return page(pages.render("compare_choice.html", root=root, live=False, jobs=listed.jobs, chosen=ids))


@router.get("/model")
def model_list(root: Root, search: str = "", after: str = "") -> Response:
    """The list of models."""
    found = models.list_models(search=search[:100], after=after[:200])
    return page(pages.render("models.html", root=root, live=False, found=found, search=search))


@router.get("/model/{name:path}")
def model(root: Root, name: str) -> Response:
    """The page of a model."""
    try:
        found = model_page(name)
    except NotFound as error:
        return _nothing(root, "There is no such model", str(error), ("/model", "All models"))
    return page(pages.render("model.html", root=root, live=False, **found))


def _nothing(root: str, title: str, sentence: str, back: tuple[str, str]) -> Response:
    return page(pages.missing_page(sentence, root, title, *back), status=404)
