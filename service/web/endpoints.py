"""Pages over HTTP. Plain functions run in the thread pool, so that drawing a chart never blocks the event loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from fastapi import APIRouter, Request
from fastapi.responses import Response

from service.calibration.service import calibration
from service.conditional import IfNoneMatch, document, etag, holds, unchanged
from service.database.dependencies import Reading
from service.database.documents import Unreadable
from service.database.session import reading
from service.datasets import service as dataset_service
from service.imported_results import service as imported_results
from service.imported_results.schemas import ImportedRows
from service.leaderboards import service as leaderboards
from service.problems import NotFound, Rejected
from service.run_pages.service import run_record
from service.sub_path import Root
from service.teacher_records.service import teacher_records
from service.web import pages, vega
from service.web.answers import page
from service.web.charts import Figure
from service.web.job_page import job_figures
from service.web.run_page import run_figures
from service.wire.boards import Leaderboard

router = APIRouter(include_in_schema=False)


@router.get("/record")
def record(session: Reading, root: Root) -> Response:
    """How often stated chances came true."""
    return page(pages.record_page(calibration(session, None, None), root))


@router.get("/record/charts")
def record_charts(session: Reading) -> Response:
    """What a browser draws its chart from."""
    return _specifications(pages.record_figures(calibration(session, None, None)))


@router.get("/teachers")
def teachers(session: Reading, root: Root) -> Response:
    """Teachers over all jobs."""
    return page(pages.teachers_page(teacher_records(session), imported_results.every(session), root))


@router.get("/runs/{run_id}")
def run(session: Reading, root: Root, run_id: str) -> Response:
    """What is known of one run."""
    try:
        return page(pages.run_page(run_record(session, run_id), root))
    except NotFound as error:
        return page(pages.not_found_page(str(error), root), status=404)


@router.get("/runs/{run_id}/charts")
def run_charts(session: Reading, run_id: str) -> Response:
    """What a browser draws its charts from."""
    return _specifications(run_figures(run_record(session, run_id)))


@router.get("/docs")
def docs(request: Request, root: Root) -> Response:
    """The HTTP API, as its OpenAPI document tells of it."""
    return page(pages.docs_page(request.app.openapi(), root))


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
    with reading() as session:
        found = imported_results.of_job(session, job_id)
    try:
        return _board_page(job_id, root, partial(pages.job_page, imported=found), if_none_match, found)
    except NotFound as error:
        return page(pages.not_found_page(str(error), root), status=404)
    except Unreadable as error:
        return page(pages.unreadable_job_page(str(error), root), status=500)


@router.get("/jobs/{job_id}/live")
def live(root: Root, job_id: str, if_none_match: IfNoneMatch = None) -> Response:
    """What the page swaps in while the job runs."""
    return _board_page(job_id, root, pages.live_fragment, if_none_match)


@router.get("/jobs/{job_id}/charts")
def charts(job_id: str, if_none_match: IfNoneMatch = None) -> Response:
    """What a browser draws the page's charts from."""
    made = leaderboards.made(job_id)
    tag = etag(made.etag, "charts", pages.appearance())
    if holds(tag, if_none_match):
        return unchanged(tag)
    return document(tag, pages.chart_specifications(job_figures(made.leaderboard())))


@router.get("/selection-jobs/{job_id}/report")
def report(job_id: str) -> Response:
    """The leaderboard page as one file that needs nothing else."""
    board = leaderboards.made(job_id).leaderboard()
    return page(pages.report_page(board), policy=pages.report_policy())


@router.get("/static/{name}")
def static(name: str) -> Response:
    """Style sheet and scripts; their addresses change with their content. Every browser takes gzip."""
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    if name == vega.NAME:
        return Response(vega.bundle(), media_type="text/javascript", headers={**headers, "Content-Encoding": "gzip"})
    found = pages.static_file(name)
    if found is None:
        raise NotFound(f"There is no file {name!r} here.")
    return Response(found[0], media_type=found[1], headers=headers)


def _board_page(
    job_id: str, root: str, draw: Callable[[Leaderboard, str], str], if_none_match: str | None,
    imported: ImportedRows | None = None,
) -> Response:  # fmt: skip
    """A page that changes with its board and what it shows beside. Browsers keep it and ask each time whether it still
    holds."""
    made = leaderboards.made(job_id)
    beside = None if imported is None else imported.model_dump(mode="json")
    tag = etag(made.etag, root, draw is pages.live_fragment, pages.appearance(), beside)
    if holds(tag, if_none_match):
        return unchanged(tag)
    answer = page(draw(made.leaderboard(), root))
    answer.headers.update({"ETag": tag, "Cache-Control": "no-cache"})
    return answer


def _specifications(figures: Sequence[Figure]) -> Response:
    return Response(
        pages.chart_specifications(figures), media_type="application/json", headers={"Cache-Control": "no-store"}
    )
