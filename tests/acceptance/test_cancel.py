"""A cancelled job is cancelled when its process is gone, and not before."""

from __future__ import annotations

from collections.abc import Callable

from service.database.tables import Run
from tests.acceptance.system import JOB, System, gone


def test_cancel_in_the_middle_of_a_run(system: Callable[..., System]) -> None:
    embedded = system()
    embedded.start_api()
    worker = embedded.start_worker()
    endless = {**JOB, "budget": {**JOB["budget"], "teacher_epochs": 1000}}  # type: ignore[dict-item]  # a literal
    job_id = embedded.submit(endless)
    run_id, runner = embedded.catch(worker)  # suspended, it cannot obey: it has to be killed
    embedded.call("POST", f"/selection-jobs/{job_id}/cancel")
    assert embedded.job(job_id)["state"] == "cancelling"
    embedded.wait_for(lambda: embedded.job(job_id)["state"] != "cancelling" or embedded.run(run_id).state != "running")
    assert gone(runner)
    embedded.wait_until(job_id, "cancelled")
    assert embedded.runs(Run.state.in_(("queued", "running"))) == []
    assert worker.is_running()
