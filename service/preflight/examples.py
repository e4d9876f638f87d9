"""An example for the OpenAPI document; a test holds it against the schema."""

from __future__ import annotations

from typing import Any

from service.selection_jobs.examples import JOB

PREFLIGHT: dict[str, Any] = {
    "student": "cifar/resnet8w4",
    "parameters": 4_712,
    "teachers": [
        {"label": label, "parameters": parameters, "taps": JOB["taps"][label], "epochs": 24, "ready": ready}
        for label, parameters, ready in (("cifar/resnet8w8", 18_632, True), ("cifar/resnet20", 271_536, False))
    ],
    "channels": 1,
    "side": 8,
    "train_pictures": 898,
    "epochs": 24,
    "rungs": [3, 6, 12, 24],
    "batch_size": 64,
    "trainings": 9,
    "least_seconds": 46.0,
    "most_seconds": 131.0,
    "slots": 2,
    "rough": False,
    "notes": [],
}
