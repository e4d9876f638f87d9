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


class Parts:
    """All parts of a worker, as one: Celery starts and stops steps that need the same one in any order."""

    def __init__(self, heartbeat: Part, helpers: Sequence[Part], slots: Part | None) -> None:
        """`helpers`: what neither takes runs nor says that the worker lives."""
        self._heartbeat, self._helpers, self._slots = heartbeat, tuple(helpers), slots

    def start(self) -> None:
        """A worker is known before it takes a run."""
        for part in (self._heartbeat, *self._helpers, *self._runs()):
            part.start()

    def stop(self) -> None:
        """Runs are given back while nothing new is begun; the worker counts as alive until the last part is over."""
        for part in self._helpers:
            part.terminate()
        for part in (*self._runs(), *self._helpers, self._heartbeat):
            part.stop()

    def terminate(self) -> None:
        """Ends all without waiting."""
        for part in (*self._runs(), *self._helpers, self._heartbeat):
            part.terminate()

    def _runs(self) -> tuple[Part, ...]:
        return () if self._slots is None else (self._slots,)


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
    helpers: list[Part] = [Sweeper(settings, tuple(queues))]
    if "control" in queues:
        helpers.append(WebhookSender())
    app.steps["worker"].add(_step(Parts(heartbeat, helpers, slots)))
    return app


def _step(parts: Part) -> type[Any]:
    """A bootstep: starts after the thread pool and before messages come, ends after the last message and before it."""

    def create(_self: object, _worker: object) -> Part:
        return parts

    requires = ("celery.worker.components:Pool",)
    return type("Parts", (bootsteps.StartStopStep,), {"requires": requires, "create": create, "__doc__": parts.__doc__})
