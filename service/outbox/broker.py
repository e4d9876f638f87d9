"""How API and worker reach the queue. Messages are wake-ups that carry an id; the database is the truth.

So: no results, JSON only, acknowledged early (a lost message costs one sweep interval, a redelivered one nothing), and
no remote control: a worker's health is its row in `workers`.
"""

from __future__ import annotations

import functools
from typing import Any, Literal

from celery import Celery

from service.outbox.files import remove_leftovers
from service.settings import Settings, settings

Task = Literal["advance_job", "advance_run"]

QUEUES: dict[str, str] = {"advance_job": "control", "advance_run": "runs"}
"""`control` needs no torch and is served quickly; `runs` is served where runners live."""

BROKER_SECONDS = 2.0
"""To be connected within."""
SILENCE_SECONDS = 4.0
"""To answer within. A worker's Redis connection waits for messages a second at a time, well below this."""


def celery_configuration(settings: Settings) -> dict[str, Any]:
    """Celery's settings for producer and worker: message files under `home`, or whatever `broker_url` names."""
    return {
        **(_server(settings.broker_url) if settings.broker_url else _files(settings)),
        "task_queues": {name: {"routing_key": name} for name in QUEUES.values()},
        "task_create_missing_queues": False,
        "task_serializer": "json",
        "result_serializer": "json",
        "accept_content": ["json"],
        "task_ignore_result": True,
        "task_store_errors_even_if_ignored": False,
        "task_publish_retry": False,
        "worker_prefetch_multiplier": 1,
        "worker_enable_remote_control": False,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "worker_send_task_events": False,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_connection_timeout": BROKER_SECONDS,
    }


def _files(settings: Settings) -> dict[str, Any]:
    folder = settings.queue_folder
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    return {
        "broker_url": "filesystem://localhost",
        "broker_transport": "service.outbox.files:Transport",
        "broker_transport_options": {
            "data_folder_in": str(folder),
            "data_folder_out": str(folder),
            "polling_interval": 0.25,
        },
    }


def _server(url: str) -> dict[str, Any]:
    return {
        "broker_url": url,
        # A request must not hang on a broker that is down: the message stays in the outbox and the sweep sends it.
        "broker_transport_options": {**_transport_options(url), "max_retries": 0},
    }


def _transport_options(url: str) -> dict[str, Any]:
    """Limits on a connection that is made and says nothing afterwards, which a TLS handshake can wait on for ever."""
    if url.partition("://")[0].endswith(("amqp", "amqps")):
        return {"read_timeout": SILENCE_SECONDS, "write_timeout": SILENCE_SECONDS}
    return {
        "socket_connect_timeout": BROKER_SECONDS, "socket_timeout": SILENCE_SECONDS, "socket_keepalive": True,
    }  # fmt: skip


@functools.cache
def producer() -> Celery:
    """The sending side, without tasks."""
    app = Celery("dpk", set_as_current=False)
    app.conf.update(celery_configuration(settings()))
    return app


def send(task: str, subject_id: str) -> None:
    """Sends one message. Raises kombu's OperationalError or OSError when the broker cannot be reached."""
    producer().send_task(task, args=[subject_id], queue=QUEUES[task])
