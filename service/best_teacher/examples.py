"""The example for the OpenAPI document; a test holds it against the schema."""

from __future__ import annotations

from typing import Any

BEST_TEACHER: dict[str, Any] = {
    "student": "cifar/resnet8w4",
    "dataset": "digits",
    "method": "dpk",
    "verdict": "tie",
    "teacher": "cifar/resnet20",
    "tied": ["cifar/resnet14"],
    "sentence": "Take resnet20; resnet14 is within noise; both beat no teacher by at least 1.1 points, resnet20 by "
    "1.4 points (90% interval 0.8 to 2.0).",
    "expected_accuracy": {"value": 0.942, "low": 0.934, "high": 0.95, "confidence": 0.9},
    "gain": {"value": 0.014, "low": 0.008, "high": 0.02, "confidence": 0.9},
    "job": "9f1c7a52b8e94f0da3c15be0a7c4d218",
    "page": "/jobs/9f1c7a52b8e94f0da3c15be0a7c4d218",
    "finished_at": "2026-01-05T09:04:12Z",
    "stamp": "5c0a9e21",
    "others": [
        {
            "stamp": "e71b0c44",
            "recipe": "digits",
            "epochs": 60,
            "verdict": "best",
            "teacher": "cifar/resnet14",
            "job": "1d2c3b4a5f6e7d8c9b0a1f2e3d4c5b6a",
            "page": "/jobs/1d2c3b4a5f6e7d8c9b0a1f2e3d4c5b6a",
            "finished_at": "2026-01-04T17:30:00Z",
        }
    ],
}
