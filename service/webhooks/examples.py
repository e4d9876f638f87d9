"""Examples for the OpenAPI document; a test holds them against the schemas."""

from __future__ import annotations

from typing import Any

from service.selection_jobs.examples import JOB_ID

WEBHOOK: dict[str, Any] = {
    "id": "4c2a0d9e5b7f4e1c8a6d0e2b4c6f8a01",
    "url": "https://ci.example.org/hooks/dpk",
    "events": ["finished", "failed", "cancelled"],
    "description": "nightly",
    "active": True,
    "created_at": "2026-01-05T09:00:00Z",
}
SECRET: dict[str, Any] = {"webhook": WEBHOOK, "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="}
WEBHOOK_LIST: dict[str, Any] = {"webhooks": [WEBHOOK]}
DELIVERY: dict[str, Any] = {
    "id": "msg_9d1f0c2b9a8e4f35a6c7d8e9f0a1b2c3",
    "kind": "finished",
    "state": "delivered",
    "attempts": 1,
    "status": 204,
    "error": None,
    "body": {
        "type": "job.finished",
        "timestamp": "2026-01-05T09:04:12+00:00",
        "data": {"job": JOB_ID, "student": "cifar/resnet8w4", "dataset": "digits", "method": "dpk"},
    },
    "created_at": "2026-01-05T09:04:12Z",
    "finished_at": "2026-01-05T09:04:13Z",
}
DELIVERY_LIST: dict[str, Any] = {"deliveries": [DELIVERY]}
