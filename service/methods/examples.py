"""Examples for the OpenAPI document; a test holds them against the schemas."""

from __future__ import annotations

from typing import Any

METHOD_LIST: dict[str, Any] = {
    "methods": [
        {
            "name": "kd", "task": "classification", "maps": None, "least_batch": 1,
            "settings": {"class_weight": 0.1, "logit_weight": 0.9, "temperature": 4.0},
        },
        {
            "name": "fitnet", "task": "classification", "maps": {"stages": ["second_last"], "least": 2, "side": 2},
            "least_batch": 2, "settings": {},
        },
    ]
}  # fmt: skip
RECIPE_LIST: dict[str, Any] = {
    "recipes": [
        {
            "name": "digits",
            "task": "classification",
            "settings": {"epochs": 24, "batch_size": 64, "learning_rate": 0.05},
        }
    ]
}
