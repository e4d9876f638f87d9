"""Pages over HTTP. Plain functions run in the thread pool, so that drawing a chart never blocks the event loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response

from service.calibration.service import calibration
from service.conditional import IfNoneMatch, etag, holds, unchanged
from service.database.dependencies import Reading
from service.datasets import service as dataset_service
from service.leaderboards import service as leaderboards
from service.models import service as model_service
from service.problems import NotFound, Rejected
from service.selection_jobs import service
from service.sub_path import Root
from service.web import pages
from service.web.comparison import comparison
from service.web.jobs_page import JobsAsked, jobs_page
from service.web.model_page import model_page
from service.wire.boards import Leaderboard

router = APIRouter(include_in_schema=False)


@router.get("/")
def jobs(session: Reading, request: Request, root: Root, asked: Annotated[JobsAsked, Query()]) -> Response:
    """The list of jobs."""
    return _page(jobs_page(service.list_jobs(session, **asked.chosen()), str(request.base_url), asked, root))


@router.get("/compare")
def compare(session: Reading, root: Root, job: Annotated[list[str] | None, Query(max_length=20)] = None) -> Response:
    """Two jobs side by side, or the choice of a second one."""
    try:
        ids = [service.get(session, each).id for each in dict.fromkeys(job or [])]
    except NotFound as error:
        return _page(pages.missing_page(str(error), root), status=404)
    if len(ids) == 2:
        boards = [leaderboards.made(each).leaderboard() for each in ids]
        return _page(pages.render("compare.html", root=root, live=False, **comparison(*boards)))
    listed = service.list_jobs(session, limit=50)
    return _page(pages.render("compare_choice.html", root=root, live=False, jobs=listed.jobs, chosen=ids))


@router.get("/model")
def models(root: Root, search: str = "", after: str = "") -> Response:
    """The list of models."""
    found = model_service.list_models(search=search[:100], after=after[:200])
    return _page(pages.render("models.html", root=root, live=False, found=found, search=search))


@router.get("/model/{name:path}")
def model(session: Reading, root: Root, name: str) -> Response:
    """The page of a model."""
    try:
        found = model_page(session, name)
    except NotFound as error:
        text = pages.render(
            "missing.html", root=root, live=False, title="There is no such model", sentence=str(error), back="/model",
            back_words="All models",
        )  # fmt: skip
        return _page(text, status=404)
    return _page(pages.render("model.html", root=root, live=False, **found))


@router.get("/record")
def record(session: Reading, root: Root) -> Response:
    """How often stated chances came true."""
    return _page(pages.record_page(calibration(session, None, None), root))


@router.get("/data")
def datasets(root: Root) -> Response:
    """The list of data sets."""
    return _page(pages.datasets_page(dataset_service.list_datasets(), root))


@router.get("/data/{name:path}")
def dataset(root: Root, name: str) -> Response:
    """The page of a data set."""
    try:
        return _page(pages.dataset_page(dataset_service.dataset(name), root))
    except (NotFound, Rejected) as error:
        broken = isinstance(error, Rejected)
        return _page(pages.missing_dataset_page(error.errors[0].message, root, broken=broken), status=error.status)


@router.get("/jobs/{job_id}")
def job(root: Root, job_id: str, if_none_match: IfNoneMatch = None) -> Response:
    """The leaderboard page of a job."""
    try:
        return _board_page(job_id, root, pages.job_page, if_none_match)
    except NotFound as error:
        return _page(pages.missing_page(str(error), root), status=404)


@router.get("/jobs/{job_id}/live")
def live(root: Root, job_id: str, if_none_match: IfNoneMatch = None) -> Response:
    """What the page swaps in while the job runs."""
    return _board_page(job_id, root, pages.live_fragment, if_none_match)


@router.get("/selection-jobs/{job_id}/report")
def report(job_id: str) -> Response:
    """The leaderboard page as one file that needs nothing else."""
    board = leaderboards.made(job_id).leaderboard()
    return _page(pages.report_page(board), policy=pages.report_policy())


@router.get("/static/{name}")
def static(name: str) -> Response:
    """The style sheet and the script; their addresses change with their content."""
    found = pages.static_file(name)
    if found is None:
        raise NotFound(f"There is no file {name!r} here.")
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
    return Response(found[0], media_type=found[1], headers=headers)


def _board_page(job_id: str, root: str, draw: Callable[[Leaderboard, str], str], if_none_match: str | None) -> Response:
    """A page that changes with its board. Browsers keep it and ask each time whether it still holds."""
    made = leaderboards.made(job_id)
    tag = etag(made.etag, root, draw.__name__, pages.appearance())
    if holds(tag, if_none_match):
        return unchanged(tag)
    page = _page(draw(made.leaderboard(), root))
    page.headers.update({"ETag": tag, "Cache-Control": "no-cache"})
    return page


def _page(text: str, *, status: int = 200, policy: str | None = None) -> Response:
    headers = {
        "Content-Security-Policy": policy or pages.page_policy(),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
    return HTMLResponse(text, status, headers)
