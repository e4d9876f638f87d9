"""The HTTP application: `create_app` builds it, `app` is what a server loads. No torch, so it starts in a second."""

from __future__ import annotations

import threading

from fastapi import Depends, FastAPI

from dpk_core.catalogue import own_models
from service import openapi, problems
from service.actions.endpoints import router as actions
from service.best_teacher.endpoints import router as best_teacher
from service.best_teacher.shortcut import KnownQuestions
from service.calibration.endpoints import router as calibration
from service.datasets.endpoints import router as datasets
from service.doors.middleware import Doors
from service.events import endpoints as events
from service.head_requests import HeadRequests
from service.health.endpoints import router as health
from service.health.probe import Probe
from service.health.service import readiness
from service.imported_results.endpoints import router as imported_results
from service.job_runs.endpoints import router as job_runs
from service.leaderboards.endpoints import router as leaderboards
from service.leaderboards.shortcut import FinishedBoards
from service.methods.endpoints import router as methods
from service.models.endpoints import router as models
from service.models.service import look_up, upload_names
from service.parameters import given_once
from service.preflight.endpoints import router as preflight
from service.selection_jobs.endpoints import router as selection_jobs
from service.students.endpoints import router as students
from service.sub_path import ForwardedPrefix
from service.web import answers
from service.web.actions import router as web_actions
from service.web.browse import router as browse
from service.web.endpoints import router as web
from service.webhooks.endpoints import router as webhooks

DESCRIPTION = """Which teacher should my student learn from? Ask with `POST /selection-jobs`, follow the answer as it
forms, and look up finished ones with `GET /best-teacher`. Accuracies are fractions in 0 … 1; times are seconds.
Every error is `application/problem+json` (RFC 9457)."""


def create_app() -> FastAPI:
    """The application with every domain's routes."""
    app = FastAPI(
        title="DPK Select", version="0.1.0", summary="Teacher selection for knowledge distillation",
        description=DESCRIPTION, license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        dependencies=[Depends(given_once)],
        responses=problems.responses(403, 413, 414, 421, 422, 500, 503),
        # FastAPI's own pages load scripts from elsewhere; ours promise not to. /docs is a page of the web room.
        docs_url=None, redoc_url=None,
    )  # fmt: skip
    app.state.closing = threading.Event()
    app.state.readiness = Probe(readiness)
    for router in (
        selection_jobs, actions, preflight, leaderboards, job_runs, students, events.router, best_teacher, calibration,
        datasets, models, methods, webhooks, imported_results, health, web_actions, browse, web,
    ):  # fmt: skip
        app.include_router(router)
    own_models.read_uploads_with(look_up, upload_names)
    app.add_middleware(FinishedBoards)
    app.add_middleware(KnownQuestions)
    app.add_middleware(Doors)
    app.add_middleware(HeadRequests)
    app.add_middleware(ForwardedPrefix)
    problems.install(app)
    answers.install(app)
    events.install(app)
    openapi.install(app)
    return app


app = create_app()
