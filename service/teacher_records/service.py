"""Teachers over all jobs, from what each finished job came to."""

from __future__ import annotations

from collections import defaultdict
from statistics import fmean

from sqlalchemy.orm import Session

from service.database.documents import if_readable
from service.database.tables import SelectionJob
from service.scheduling.outcome import Outcome
from service.teacher_records import repository
from service.teacher_records.schemas import TeacherJob, TeacherOverJobs, TeacherRecords


def teacher_records(session: Session) -> TeacherRecords:
    """Over the newest finished jobs."""
    jobs = {job.id: job for job in repository.finished(session)}
    place = {job_id: number for number, job_id in enumerate(jobs)}
    found: dict[str, list[TeacherJob]] = defaultdict(list)
    for candidate in sorted(repository.candidates(session, list(jobs)), key=lambda each: place[each.job_id]):
        assert candidate.teacher is not None, "asked for so"
        job = jobs[candidate.job_id]
        found[candidate.teacher].append(_entry(job, candidate.teacher, candidate.status))
    teachers = [_over_jobs(teacher, entries) for teacher, entries in found.items()]
    teachers.sort(key=lambda each: (-each.taken, -len(each.jobs), each.teacher))
    return TeacherRecords(teachers=teachers, jobs=len(jobs), most_jobs=repository.NEWEST)


def _entry(job: SelectionJob, teacher: str, status: str) -> TeacherJob:
    outcome = if_readable(Outcome, job.outcome)
    trained = {} if outcome is None or outcome.stated is None else outcome.stated.trained
    return TeacherJob(
        id=job.id, student=job.student, dataset=job.dataset, status=status,
        taken=outcome is not None and outcome.best == teacher,
        gain=None if outcome is None else outcome.gains.get(teacher), student_score=trained.get(teacher),
    )  # fmt: skip


def _over_jobs(teacher: str, entries: list[TeacherJob]) -> TeacherOverJobs:
    gains = [each.gain for each in entries if each.gain is not None]
    return TeacherOverJobs(
        teacher=teacher, jobs=entries, taken=sum(each.taken for each in entries),
        fully=sum(each.student_score is not None for each in entries), mean_gain=fmean(gains) if gains else None,
    )  # fmt: skip
