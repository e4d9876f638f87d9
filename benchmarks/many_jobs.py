"""Many finished jobs from one: its rows copied inside Postgres, each copy with runs of its own."""

from __future__ import annotations

from sqlalchemy import Connection, text

from service.database.tables import Base

JOB = "md5(:job || n)"
"""The id of a copy."""
NUMBERED = ("candidates", "verdicts", "events")


def copy_job(connection: Connection, job_id: str, first: int, last: int) -> None:
    """Adds copies number `first` … `last` of a finished job, each a minute older than the one before."""
    numbers = " UNION ALL ".join(f"SELECT id, job_id FROM {table}" for table in NUMBERED)  # noqa: S608 - our names
    mine = "FILTER (WHERE job_id = :job)"
    bounds = f"SELECT min(id) {mine}, max(id) {mine}, max(id) FROM ({numbers}) AS numbered"  # noqa: S608 - our names
    low, high, top = connection.execute(text(bounds), {"job": job_id}).one()
    shift = f"{top + 1 - low} + (n - {first}) * {high - low + 1}"
    mine = "t.run_id IN (SELECT run_id FROM job_runs WHERE job_id = :job)"
    run = "md5(t.run_id || n)"
    number = f"t.id + {shift}"
    for table, changed, which in (
        ("selection_jobs", {
            "id": JOB, "created_at": "t.created_at - n * interval '1 minute'",
            "finished_at": "t.finished_at - n * interval '1 minute'",
        }, "t.id = :job"),
        ("candidates", {"id": number, "job_id": JOB}, "t.job_id = :job"),
        ("runs", {
            "id": "md5(t.id || n)", "content_key": "md5(t.id || n) || md5(t.id)",
            "training_key": "md5(t.training_key || n) || md5(t.training_key)",
            "finished_at": "t.finished_at - n * interval '1 minute'",
        }, mine.replace("t.run_id", "t.id")),
        ("job_runs", {"job_id": JOB, "candidate_id": f"t.candidate_id + {shift}", "run_id": run}, "t.job_id = :job"),
        ("measurements", {"run_id": run}, mine),
        ("decisions", {"job_id": JOB}, "t.job_id = :job"),
        ("verdicts", {"id": number, "job_id": JOB}, "t.job_id = :job"),
        ("events", {"id": number, "job_id": JOB}, "t.job_id = :job"),
        ("boards", {"job_id": JOB}, "t.job_id = :job"),
    ):  # fmt: skip
        names = [column.name for column in Base.metadata.tables[table].columns]
        values = ", ".join(changed.get(name, f"t.{name}") for name in names)
        copied = f"{table} t, generate_series(CAST(:first AS int), CAST(:last AS int)) n"
        statement = f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} FROM {copied} WHERE {which}"  # noqa: S608 - our names
        connection.execute(text(statement), {"job": job_id, "first": first, "last": last})
    for table in NUMBERED:
        connection.execute(text(f"SELECT setval('{table}_id_seq', (SELECT max(id) FROM {table}))"))  # noqa: S608 - our names
    connection.execute(text("ANALYZE"))
