"""Examples for the OpenAPI document; a test holds them against the schemas."""

from __future__ import annotations

from typing import Any

IMPORTED: dict[str, Any] = {"stamp": "1c2d3e4f", "added": 6, "known": 0}
ROWS: dict[str, Any] = {
    "student": "cifar/resnet8w4",
    "dataset": "digits",
    "rows": [
        {
            "stamp": "1c2d3e4f",
            "source": "our cluster, March",
            "settings": {"batch_size": 128},
            "method": "kd",
            "teacher": "cifar/resnet20",
            "epochs": 240,
            "seeds": 3,
            "validation": None,
            "test": {"mean": 0.951, "sd": 0.002, "seeds": 3},
            "gain": 0.012,
        }
    ],
}
