"""The example for the OpenAPI document; a test holds it against the schema."""

from __future__ import annotations

from typing import Any

from service.selection_jobs.examples import JOB_ID

STUDENT: dict[str, Any] = {
    "job": JOB_ID,
    "model": "cifar/resnet8w4",
    "teacher": "cifar/resnet20",
    "seed": 1,
    "chosen": "The verdict names this teacher. Seed 1 is the median of 3 by validation accuracy; the test split chose "
    "nothing.",
    "seeds": [0, 1, 2],
    "validation_score": 0.954,
    "test_score": 0.947,
    "weights": {"path": f"/selection-jobs/{JOB_ID}/student/weights?seed=1", "sha256": "5f0c", "bytes": 80412},
    "config": {"architecture": "cifar/resnet8w4", "num_classes": 10, "input_size": [1, 8, 8]},
    "card": "# cifar/resnet8w4, trained on digits",
    "device": "x86_64 CPU",
    "versions": {"dpk-select": "0.1.0", "torch": "2.15.0", "timm": "1.0.31"},
    "request": {"student": "cifar/resnet8w4", "dataset": "digits", "teachers": ["cifar/resnet20"]},
}
