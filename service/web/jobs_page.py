"""The table of jobs: what its address asks for, and the links that change it."""

from __future__ import annotations

from typing import Any, get_args
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field

from service.scheduling.states import JobState
from service.web import pages
from service.web.job_page import LIVE_STATES
from service.wire.jobs import JobList, Sort

FILTERS = ("state", "student", "dataset", "method", "tag", "search")


class JobsAsked(BaseModel):
    """What the address asks for; an empty field is none, as a browser sends those of a form that nobody filled in."""

    model_config = ConfigDict(frozen=True)

    search: str = Field(default="", max_length=200)
    state: str = Field(default="", max_length=16)
    student: str = Field(default="", max_length=400)
    dataset: str = Field(default="", max_length=200)
    method: str = Field(default="", max_length=40)
    tag: str = Field(default="", max_length=40)
    sort: Sort = "newest"
    before: str = Field(default="", max_length=32)

    def chosen(self) -> dict[str, Any]:
        """What `list_jobs` takes."""
        named = {name: value for name in FILTERS if (value := getattr(self, name))}
        return {**named, "sort": self.sort, "before": self.before or None}


def jobs_page(jobs: JobList, origin: str, asked: JobsAsked, root: str = "") -> str:
    """The list of jobs. `origin`: address of this server, for the example commands."""

    def link(**changes: str) -> str:
        query = {**asked.model_dump(), "before": "", **changes}
        kept = {name: value for name, value in query.items() if value and (name, value) != ("sort", "newest")}
        return f"{root}/?{urlencode(kept)}" if kept else f"{root}/"

    return pages.render(
        "jobs.html",
        jobs=jobs.jobs,
        asked=asked,
        link=link,
        states=get_args(JobState),
        filtered=[(name, getattr(asked, name)) for name in FILTERS if getattr(asked, name)],
        here=link(before=asked.before),
        older=None if jobs.next_before is None else link(before=jobs.next_before),
        root=root,
        origin=origin.rstrip("/"),
        live=not jobs.jobs or any(job.state in LIVE_STATES for job in jobs.jobs),
    )
