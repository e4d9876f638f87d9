"""The example for the OpenAPI document; a test holds it against the schema."""

from __future__ import annotations

from typing import Any

CALIBRATION: dict[str, Any] = {
    "confidence": 0.9,
    "most_jobs": 200,
    "jobs": 31,
    "claims": 12,
    "exhaustive": 4,
    "held": {"value": 0.917, "low": 0.71, "high": 0.98, "confidence": 0.9},
    "size": 2.1,
    "bins": [
        {
            "low": 0.6,
            "high": 0.8,
            "count": 9,
            "stated": 0.69,
            "won": {"value": 0.667, "low": 0.4, "high": 0.858, "confidence": 0.9},
        }
    ],
    "sentence": "The stated 90% sets held the winner in 92% of 12 jobs (90% interval 71 to 98%); they had 2.1 teachers "
    "on average. In 4 of the 12 every teacher was trained fully, in the others at least one outside the set, "
    "so a miss may have stayed hidden there.",
}
