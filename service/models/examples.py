"""Examples for the OpenAPI document; a test holds them against the schemas."""

from __future__ import annotations

from typing import Any

MODEL: dict[str, Any] = {
    "name": "own/student-5f0c9a3b",
    "source": "own",
    "task": "classification",
    "parameters": 84_416,
    "taps": [
        {"module": "stages.0", "channels": 16, "stride": 1},
        {"module": "stages.1", "channels": 32, "stride": 2},
        {"module": "stages.2", "channels": 64, "stride": 4},
    ],
    "obstacle": None,
    "pictures": {"least": 1, "step": 1, "only": 32},
    "channels": 3,
    "classes": None,
    "weights": ["own"],
    "sha256": "5f0c9a3b6a0f4d7b1d1c0c6f9e2f7d5c8b3a49e0d6c1f2b7a8e9d0c1b2a3f4e5",
    "notes": [],
}
MODEL_LIST: dict[str, Any] = {"models": [MODEL], "count": 1, "next_after": None}
