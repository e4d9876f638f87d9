"""How a job is repeated, and what it was carried out with."""

from __future__ import annotations

from collections.abc import Mapping

from service.wire.boards import Environment

SUBMIT = "dpk submit --file request.json"


def fetch_command(job_id: str) -> str:
    """Writes the request that repeats a job into a file."""
    return f"dpk request {job_id} > request.json"


def repeat_sentence(job_id: str) -> str:
    """The two commands that repeat a job."""
    return f"To repeat this: {fetch_command(job_id)}, then {SUBMIT}"


def versions_line(versions: Mapping[str, str] | None) -> str:
    """Packages with their versions, this project first: `dpk-select 0.1.0, torch 2.15.0`."""
    own_first = sorted((versions or {}).items(), key=lambda each: (each[0] != "dpk-select", each[0]))
    return ", ".join(f"{name} {version}" for name, version in own_first) or "not recorded"


def environment_line(environment: Environment) -> str:
    """Device and versions of a training."""
    return f"{environment.device}: {versions_line(environment.versions)}"
