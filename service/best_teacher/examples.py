"""The example for the OpenAPI document; a test holds it against the schema."""

from __future__ import annotations

from typing import Any

_FINGERPRINT = "sha256:87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826/split-1"

BEST_TEACHER: dict[str, Any] = {
    "student": "cifar/resnet8w4",
    "dataset": "digits",
    "method": "dpk",
    "metric": {"name": "accuracy", "direction": "maximise", "unit": "%", "margin": 0.003},
    "verdict": "tie",
    "teacher": "cifar/resnet20",
    "tied": ["cifar/resnet14"],
    "sentence": "Take resnet20; resnet14 is within noise; both beat no teacher by at least 0.5 points (the lower end "
    "of their 90% intervals), resnet20 by 1.4 points (90% interval 0.8 to 2.0).",
    "cautions": [],
    "stale": False,
    "stale_because": [],
    "chance": 0.58,
    "chance_within_margin": 0.83,
    "margin": 0.003,
    "expected_loss": 0.0011,
    "expected_score": {"value": 0.942, "low": 0.934, "high": 0.95, "confidence": 0.9},
    "gain": {"value": 0.014, "low": 0.008, "high": 0.02, "confidence": 0.9},
    "seeds": 3,
    "epochs": 24,
    "candidates": 5,
    "teachers_tried": 5,
    "teachers_trained": 2,
    "data": {"then": _FINGERPRINT, "now": _FINGERPRINT, "reason": None},
    "job": "9f1c7a52b8e94f0da3c15be0a7c4d218",
    "page": "/jobs/9f1c7a52b8e94f0da3c15be0a7c4d218",
    "finished_at": "2026-01-05T09:04:12Z",
    "age_seconds": 86400.0,
    "stamp": "5c0a9e21",
    "running": None,
    "others": [
        {
            "stamp": "5c0a9e21",
            "same_protocol": True,
            "differs": ["undecided: 1 seed, 1 teacher"],
            "recipe": "digits",
            "epochs": 24,
            "seeds": 1,
            "teachers": 1,
            "verdict": "undecided",
            "teacher": None,
            "job": "7b0c6f1e2d3a4958b7c6d5e4f3021a9b",
            "page": "/jobs/7b0c6f1e2d3a4958b7c6d5e4f3021a9b",
            "finished_at": "2026-01-05T17:30:00Z",
        },
        {
            "stamp": "e71b0c44",
            "same_protocol": False,
            "differs": ["60 epochs instead of 24"],
            "recipe": "digits",
            "epochs": 60,
            "seeds": 3,
            "teachers": 2,
            "verdict": "best",
            "teacher": "cifar/resnet14",
            "job": "1d2c3b4a5f6e7d8c9b0a1f2e3d4c5b6a",
            "page": "/jobs/1d2c3b4a5f6e7d8c9b0a1f2e3d4c5b6a",
            "finished_at": "2026-01-04T17:30:00Z",
        },
    ],
}

ASKED: dict[str, Any] = {
    "answer": BEST_TEACHER,
    "holds": True,
    "because": "The answer holds: it is decided, and data, weights and training code are those of its job.",
    "job": None,
    "stamp": "5c0a9e21",
}
