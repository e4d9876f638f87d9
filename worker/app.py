"""The Celery application of the worker: tasks, and bootsteps that tie the threads of its parts to its life."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Sequence
from typing import Any, Protocol

from celery import Celery, bootsteps

from service.outbox.broker import celery_configuration
from service.settings import Settings
from worker import tasks
from worker.heartbeat import WorkerHeartbeat
from worker.slots import Slots
from worker.sweeper import Sweeper
from worker.webhook_sender import WebhookSender

CONTROL_THREADS = 2
"""Tasks are short: they advance a job or wake a slot. What may take long has threads of its own."""


class Part(Protocol):
    """Threads that begin and end with the worker."""

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def terminate(self) -> None: ...


def worker_id() -> str:
    """Unique among the living: the machine (or container) and the process."""
    return f"{socket.gethostname()}-{os.getpid()}"


def runner_command(settings: Settings) -> tuple[str, ...]:
    """How a runner is started."""
    options = ("--device", settings.device, "--threads", str(settings.threads))
    return (sys.executable, "-m", "dpk_core.runner", *options)


def create(settings: Settings, queues: Sequence[str], command: Sequence[str]) -> Celery:
    """The application that serves `queues`; `command` starts a runner."""
    app = Celery("dpk-worker")
    app.conf.update(celery_configuration(settings), worker_pool="threads", worker_concurrency=CONTROL_THREADS)
    slots = Slots(settings, worker_id(), command) if "runs" in queues else None
    device = (lambda: slots.device) if slots is not None else (lambda: None)
    trouble = slots.trouble.sentence if slots is not None else (lambda: None)
    tasks.register(app, slots)
    heartbeat = WorkerHeartbeat(settings, worker_id(), tuple(queues), device, trouble)
    parts: list[Part] = [heartbeat, Sweeper(settings, tuple(queues))]
    if slots is not None:
        parts.append(slots)
    if "control" in queues:
        parts.append(WebhookSender())
    app.steps["worker"].update(_step(type(part).__name__, part) for part in parts)
    return app


def _step(name: str, part: Part) -> type[Any]:
    """A bootstep: starts after the thread pool and before messages come, ends after the last message and before it."""

    def create(_self: object, _worker: object) -> Part:
        return part

    requires = ("celery.worker.components:Pool",)
    return type(name, (bootsteps.StartStopStep,), {"requires": requires, "create": create, "__doc__": part.__doc__})
