"""What health checks look like on the wire."""

from __future__ import annotations

from typing import Literal

from service.schemas import Wire


class Alive(Wire):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Readiness(Wire):
    """Every part the service needs answers. `alarms`: what a person should look at although requests are served."""

    status: Literal["ready"] = "ready"
    parts: list[str]
    alarms: list[str]
