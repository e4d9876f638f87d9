"""Pages over HTTP. Plain functions run in the thread pool, so that drawing a chart never blocks the event loop."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter
from fastapi.responses import Response

from service.calibration.service import calibration
from service.conditional import IfNoneMatch, etag, holds, unchanged
from service.database.dependencies import Reading
from service.datasets import service as dataset_service
from service.leaderboards import service as leaderboards
from service.problems import NotFound, Rejected
from service.sub_path import Root
from service.web import pages
from service.web.answers import page
from service.wire.boards import Leaderboard

router = APIRouter(include_in_schema=False)


@router.get("/record")
def record(session: Reading, root: Root) -> Response:
    """How often stated chances came true."""
    return page(pages.record_page(calibration(session, None, None), root))


@router.get("/data")
def datasets(root: Root) -> Response:
    """The list of data sets."""
    return page(pages.datasets_page(dataset_service.list_datasets(), root))


@router.get("/data/{name:path}")
def dataset(root: Root, name: str) -> Response:
    """The page of a data set."""
    try:
        return page(pages.dataset_page(dataset_service.dataset(name), root))
    except (NotFound, Rejected) as error:
        broken = isinstance(error, Rejected)
        return page(pages.missing_dataset_page(error.errors[0].message, root, broken=broken), status=error.status)


@router.get("/jobs/{job_id}")
def job(root: Root, job_id: str, if_none_match: IfNoneMatch = None) -> Response:
    """The leaderboard page of a job."""
    try:
        return _board_page(job_id, root, pages.job_page, if_none_match)
    except NotFound as error:
        return page(pages.missing_page(str(error), root), status=404)


@router.get("/jobs/{job_id}/live")
def live(root: Root, job_id: str, if_none_match: IfNoneMatch = None) -> Response:
    """What the page swaps in while the job runs."""
    return _board_page(job_id, root, pages.live_fragment, if_none_match)


@router.get("/selection-jobs/{job_id}/report")
def report(job_id: str) -> Response:
    """The leaderboard page as one file that needs nothing else."""
    board = leaderboards.made(job_id).leaderboard()
    return page(pages.report_page(board), policy=pages.report_policy())


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
    answer = page(draw(made.leaderboard(), root))
    answer.headers.update({"ETag": tag, "Cache-Control": "no-cache"})
    return answer
