"""Pages over HTTP. Plain functions run in the thread pool, so that drawing a chart never blocks the event loop."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from service.calibration.service import calibration
from service.database.dependencies import Reading
from service.datasets import service as dataset_service
from service.leaderboards import service as leaderboards
from service.problems import NotFound, Rejected
from service.selection_jobs import service
from service.sub_path import Root
from service.web import pages

router = APIRouter(include_in_schema=False)


@router.get("/")
def jobs(session: Reading, request: Request, root: Root, before: str | None = None) -> Response:
    """The list of jobs."""
    return _page(pages.jobs_page(service.list_jobs(session, before=before), str(request.base_url), before, root))


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
def job(session: Reading, root: Root, job_id: str) -> Response:
    """The leaderboard page of a job."""
    try:
        return _page(pages.job_page(leaderboards.leaderboard(session, job_id), root))
    except NotFound as error:
        return _page(pages.missing_page(str(error), root), status=404)


@router.get("/jobs/{job_id}/live")
def live(session: Reading, root: Root, job_id: str) -> Response:
    """What the page swaps in while the job runs."""
    return _page(pages.live_fragment(leaderboards.leaderboard(session, job_id), root))


@router.get("/selection-jobs/{job_id}/report")
def report(session: Reading, job_id: str) -> Response:
    """The leaderboard page as one file that needs nothing else."""
    return _page(pages.report_page(leaderboards.leaderboard(session, job_id)), policy=pages.report_policy())


@router.get("/static/{name}")
def static(name: str) -> Response:
    """The style sheet and the script; their addresses change with their content."""
    found = pages.static_file(name)
    if found is None:
        raise NotFound(f"There is no file {name!r} here.")
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
    return Response(found[0], media_type=found[1], headers=headers)


def _page(text: str, *, status: int = 200, policy: str | None = None) -> Response:
    headers = {
        "Content-Security-Policy": policy or pages.page_policy(),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
    return HTMLResponse(text, status, headers)
