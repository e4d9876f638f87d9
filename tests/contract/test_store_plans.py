"""No query of the service reads a whole large table: Postgres says how it would carry out each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import URL, Connection, event, text

from benchmarks.many_jobs import copy_job
from dpk_core.codec import from_json
from service.best_teacher.service import best_teacher
from service.calibration.service import calibration
from service.database.session import engine, glance_engine, reading, transaction
from service.database.tables import SelectionJob
from service.events import repository as events
from service.health import service as health
from service.imported_results import repository as imported
from service.job_runs import service as job_runs
from service.leaderboards import earlier
from service.leaderboards import service as leaderboards
from service.models.results import results_as_student, results_as_teacher
from service.outbox import repository as outbox
from service.preflight import repository as preflight
from service.runs import repository as runs
from service.runs.sweep import sweep
from service.scheduling import repository as scheduling
from service.scheduling.plan import Plan
from service.selection_jobs import service as jobs
from service.settings import Settings
from service.webhooks import repository as webhooks
from tests import servers
from tests.contract import job_driver as drive

pytestmark = pytest.mark.servers

COPIES = 1000
LARGE = (
    "selection_jobs",
    "candidates",
    "runs",
    "job_runs",
    "measurements",
    "decisions",
    "verdicts",
    "events",
    "boards",
    "webhook_deliveries",
    "imported_results",
)
STUDENT = "cifar/resnet8w4"


@pytest.fixture
def database(configure: Callable[..., Settings], postgres_server: URL, migrated_postgres: URL) -> Iterator[None]:
    with servers.fresh_database(postgres_server, template=str(migrated_postgres.database)) as url:
        configure(database_url=url)
        yield


@contextmanager
def executed() -> Iterator[list[tuple[str, Any]]]:
    """Every statement sent meanwhile by either engine, with its values."""
    found: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, values: Any, *_: object) -> None:
        found.append((statement.lstrip(), values))

    engines = engine(), glance_engine()
    for each in engines:
        event.listen(each, "before_cursor_execute", note)
    try:
        yield found
    finally:
        for each in engines:
            event.remove(each, "before_cursor_execute", note)


def scans(statement: str, values: Any) -> list[str]:
    """The large tables that this statement would read as a whole."""
    with engine().connect() as connection:
        # As where all of it is in memory; the tables here are too small for the default to prefer an index.
        connection.exec_driver_sql("SET random_page_cost = 1")
        plan = [line for (line,) in connection.exec_driver_sql(f"EXPLAIN {statement}", values)]
    return [table for table in LARGE for line in plan if f"Seq Scan on {table}" in line]


def test_no_query_reads_a_whole_table(database: None, monkeypatch: pytest.MonkeyPatch) -> None:
    # As small a part of this store as the real limits are of one with 100,000 runs.
    monkeypatch.setattr(earlier, "NEWEST", 4)
    done = drive.submit(drive.request("cifar/resnet20", seeds=1, epochs=2, rungs=(1, 2), promote=1))
    drive.run_to_end(done)
    leaderboards.made(done)
    live = drive.submit(drive.request("cifar/resnet8w8", seeds=1, epochs=2, rungs=(1, 2), promote=1))
    drive.advance(live)
    with engine().begin() as connection:
        copy_job(connection, done, 1, COPIES)
        add_other_rows(connection)
    (waiting,) = [each.id for each in drive.runs_of(live, "queued")][:1]
    with executed() as found:
        read_everything(done, live, waiting)
    asked = {each: values for each, values in found if each.startswith(("SELECT", "WITH", "UPDATE", "DELETE"))}
    assert len(asked) > 30
    assert any(each.startswith("SELECT id, state, 0 FROM selection_jobs") for each in asked), "best teacher's look-up"
    assert {each: tables for each, values in asked.items() if (tables := scans(each, values))} == {}


def add_other_rows(connection: Connection) -> None:
    """Ten webhooks, each with many messages of the last weeks, and many results from elsewhere."""
    connection.execute(text(
        "INSERT INTO webhooks SELECT 'w' || n, 'u', 'finished', '', 1, 'k', true, now() FROM generate_series(1, 10) n"
    ))  # fmt: skip
    connection.execute(
        text(
            "INSERT INTO webhook_deliveries SELECT 'd' || n, 'w' || n % 10 + 1, 'finished', NULL, '{}', 'delivered', "
            "1, n, 200, NULL, now() - n * interval '5 min', now() - n * interval '5 min' "
            "FROM generate_series(1, :rows) n"
        ),
        {"rows": 8 * COPIES},
    )
    connection.execute(
        text(
            "INSERT INTO imported_results SELECT 'k' || n, 's' || n % 100, 'a', '{}', 'student ' || n % 500, 'digits', "
            "'kd', NULL, n, 1, 0.9, 0.9, now() FROM generate_series(1, :rows) n"
        ),
        {"rows": 8 * COPIES},
    )
    connection.execute(text("ANALYZE"))


def read_everything(done: str, live: str, waiting: str) -> None:
    """What pages, pollers, workers and the reaper ask the database."""
    leaderboards._kept.clear()
    for job_id in (done, live):
        leaderboards.made(job_id)
        drive.job(job_id)
    leaderboards.answer(done)
    best_teacher(STUDENT, "digits", "dpk")
    with reading() as session:
        jobs.list_jobs(session, limit=5, before=live)
        jobs.list_jobs(session, limit=5, state="failed")
        jobs.list_jobs(session, limit=5, prefix=done[:8])
        for sort in ("oldest", "gain", "cost", "student"):
            jobs.list_jobs(session, limit=5, before=live, sort=sort)
        jobs.list_jobs(session, limit=5, search="resnet20 digits", tag="nightly", student=STUDENT, dataset="digits")
        results_as_student(session, STUDENT)
        results_as_teacher(session, "cifar/resnet20")
        preflight.timed(session, "digits", ["none", "dpk"])
        preflight.prepared(session, ["key"])
        for dataset in (None, "digits"):
            for method in (None, "dpk"):
                calibration(session, dataset, method)
        job = session.get_one(SelectionJob, live)
        plan = from_json(Plan, job.plan)
        earlier.comparison_groups(session, job, plan)
        earlier.previous_winner(session, job, plan)
        scheduling.stored(session, plan)
        events.after(session, done, 0, 10)
        job_runs.log(session, done, after=0, limit=10)
        job_runs.run(session, done, job_runs.runs(session, done).runs[0].id)
        webhooks.deliveries(session, "w", 10)
        imported.find(session, STUDENT, "digits")
        imported.every(session)
        outbox.unsent(session, ["advance_job"], 10)
    health.alarms()
    with transaction() as session:
        runs.next_claimable(session, "worker", 3)
        runs.put_worker(session, "worker", queues="runs", slots=1, device=None)
        runs.live_jobs(session, after="", limit=10)
        sweep(session, resend_seconds=0.0, max_attempts=3)
    drive.claim(waiting)
    drive.advance(live)


def test_a_scan_would_be_noticed(database: None) -> None:
    done = drive.submit()
    drive.advance(done)
    with engine().begin() as connection:
        copy_job(connection, done, 1, COPIES)
        connection.execute(text("ANALYZE"))
    assert scans("SELECT id FROM selection_jobs WHERE revision = 7", {}) == ["selection_jobs"]
