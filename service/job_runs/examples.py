"""Examples for the OpenAPI document; a test holds them against the schemas."""

from __future__ import annotations

from typing import Any

RUN_ID = "7d1f0c2b9a8e4f35a6c7d8e9f0a1b2c3"
RUN: dict[str, Any] = {
    "id": RUN_ID,
    "teacher": "cifar/resnet20",
    "purpose": "confirm",
    "model": "cifar/resnet8w4",
    "seed": 1,
    "epochs": 24,
    "state": "finished",
    "reused": False,
    "step": 312,
    "total_steps": 312,
    "validation_score": 0.954,
    "test_score": 0.947,
    "seconds": 11.2,
    "wasted_seconds": 0.0,
    "attempts": 1,
    "device": "cpu",
    "failure": None,
    "created_at": "2026-01-05T09:00:20Z",
    "started_at": "2026-01-05T09:00:21Z",
    "finished_at": "2026-01-05T09:00:33Z",
}
RUN_LIST: dict[str, Any] = {
    "metric": {"name": "accuracy", "direction": "maximise", "unit": "%", "margin": 0.003},
    "runs": [RUN],
}
RUN_DETAILS: dict[str, Any] = {
    **RUN,
    "spec": {"training": {"role": "student", "model": "cifar/resnet8w4", "dataset": "digits"}, "stop_epoch": 24},
    "points": [{"epoch": 1, "values": {"validation_score": 0.31}}],
    "notices": [],
    "last_error": None,
    "waits": [],
}
LOG: dict[str, Any] = {
    "lines": [{"id": 7, "at": "2026-01-05T09:00:20Z", "kind": "stage_changed", "text": "Exploring begins."}],
    "next_after": 7,
    "over": False,
}
