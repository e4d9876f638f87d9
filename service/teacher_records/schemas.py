"""Teachers over all jobs, as their page shows them."""

from __future__ import annotations

from service.schemas import Wire


class TeacherJob(Wire):
    """What one job found about the teacher. `gain`: of its students over no teacher, a fraction; None: not known."""

    id: str
    student: str
    dataset: str
    status: str
    taken: bool
    gain: float | None
    student_score: float | None


class TeacherOverJobs(Wire):
    """One teacher, newest job first. `fully`: in how many jobs a student was trained fully under it."""

    teacher: str
    jobs: list[TeacherJob]
    taken: int
    fully: int
    mean_gain: float | None


class TeacherRecords(Wire):
    """Every teacher of the newest finished jobs, those taken most often first."""

    teachers: list[TeacherOverJobs]
    jobs: int
    most_jobs: int
