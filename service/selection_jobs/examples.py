"""Examples for the OpenAPI document; a test holds them against the schemas."""

from __future__ import annotations

from typing import Any

from fastapi.openapi.models import Example

from dpk_core.codec import to_json
from dpk_core.dpk_settings import CIFAR_DPK
from dpk_core.recipes import RECIPES
from dpk_core.spec import MethodSpec
from service.scheduling.protocol_id import HOLDS

JOB_ID = "9f1c7a52b8e94f0da3c15be0a7c4d218"

_REQUEST: dict[str, Any] = {
    "student": "cifar/resnet8w4",
    "dataset": "digits",
    "teachers": ["cifar/resnet8w8", "cifar/resnet20"],
    "method": "dpk",
    "seeds": 3,
    "recipe": None,
    "name": "nightly",
    "tags": ["team:vision"],
    "budget": {
        "epochs": 24,
        "rungs": [3, 6, 12, 24],
        "policy": "adaptive",
        "promote": 1,
        "chance": 0.9,
        "seconds": 600,
    },
    "classes": 10,
}

REQUESTS: dict[str, Example] = {
    "smallest": {
        "summary": "The least that must be said",
        "value": {key: _REQUEST[key] for key in ("student", "dataset", "teachers")},
    },
    "budgeted": {"summary": "With a budget", "value": _REQUEST},
    "set": {
        "summary": "With settings of method and recipe",
        "value": {
            **{key: _REQUEST[key] for key in ("student", "dataset", "teachers")},
            "method": {"name": "dpk", "profile": "paper", "feature_weight": 3.0, "share": {"floor": 0.2}},
            "recipe": {"name": "cifar100", "precision": "bfloat16", "learning_rate": 0.1},
        },
    },
    "weighted": {
        "summary": "Teachers that bring their weights",
        "value": {
            "student": "timm/resnet18",
            "dataset": "folder/flowers",
            "teachers": [
                "timm/resnet50",
                "timm/resnet50@pretrained",
                {
                    "model": "timm/resnet101",
                    "weights": "file:mine.safetensors",
                    "preparation": "fine_tune",
                    "epochs": 5,
                },
            ],
        },
    },
}

JOB: dict[str, Any] = {
    "id": JOB_ID,
    "state": "running",
    "stage": "exploring",
    "revision": 14,
    "request": _REQUEST,
    "created_at": "2026-01-05T09:00:00Z",
    "started_at": "2026-01-05T09:00:01Z",
    "finished_at": None,
    "failure": None,
    "progress": [
        {"stage": "preparing_teachers", "title": "Teachers prepared", "done": 672, "total": 672, "state": "done"},
        {"stage": "exploring", "title": "Exploring", "done": 42, "total": 84, "state": "running"},
        {"stage": "confirming", "title": "Full training", "done": 0, "total": 1512, "state": "waiting"},
        {"stage": "deciding", "title": "Verdict", "done": 0, "total": 1, "state": "waiting"},
    ],
    "remaining_seconds": 84.5,
    "waiting_for": None,
    "verdict": "Undecided: resnet20 leads, best with a chance of 71%; resnet8w8 may still be better.",
    "headline": "Undecided: resnet20 leads, best with a chance of 71%; resnet8w8 may still be better.",
    "notices": [],
    "name": "nightly",
    "tags": ["team:vision"],
    "verdict_kind": "undecided",
    "leader": "cifar/resnet20",
    "chance": 0.71,
    "gain": None,
    "cost": 96.4,
    "taps": {
        teacher: [
            {
                "stage": stage,
                "student": {"module": module, "channels": channels, "side": side},
                "teacher": {"module": module, "channels": times * channels, "side": side},
            }
            for stage, module, channels, side in (("last", "stages.2", 16, 2), ("second_last", "stages.1", 8, 4))
        ]
        for teacher, times in (("cifar/resnet8w8", 2), ("cifar/resnet20", 4))
    },
    "links": {
        "self": f"/selection-jobs/{JOB_ID}",
        "leaderboard": f"/selection-jobs/{JOB_ID}/leaderboard",
        "events": f"/selection-jobs/{JOB_ID}/events",
        "cancel": f"/selection-jobs/{JOB_ID}/cancel",
        "page": f"/jobs/{JOB_ID}",
        "report": f"/selection-jobs/{JOB_ID}/report",
        "request": f"/selection-jobs/{JOB_ID}/request",
    },
}

CANCELLING: dict[str, Any] = {
    **JOB,
    "state": "cancelling",
    "remaining_seconds": None,
    "headline": "The job is being cancelled: its trainings are being stopped.",
}

PAUSED: dict[str, Any] = {
    **JOB,
    "state": "paused",
    "remaining_seconds": None,
    "headline": f"Paused: nothing is trained until the job is resumed. {JOB['verdict']}",
}

JOB_LIST: dict[str, Any] = {"jobs": [JOB], "next_before": None}

LEADERBOARD: dict[str, Any] = {
    "job": JOB,
    "metric": {"name": "accuracy", "direction": "maximise", "unit": "%", "margin": 0.003},
    "setup": {
        "student_weights": {"weights": "random", "identity": None},
        "method_settings": to_json(MethodSpec(name="dpk", dpk=CIFAR_DPK)),
        "method_changes": {},
        "recipe": "digits",
        "recipe_settings": to_json(RECIPES["digits"]),
        "recipe_changes": {},
        "recipe_notes": [],
        "learning_rate": 0.05,
        "batch_size": 64,
        "epochs": 24,
        "rungs": [3, 6, 12, 24],
        "teacher_epochs": 24,
        "policy": "adaptive",
        "promote": 1,
        "seeds": [0, 1, 2],
        "train_pictures": 898,
        "channels": 1,
        "side": 8,
        "data_fingerprint": "sha256:5f0c…/split-1",
        "training_version": 1,
        "environments": [
            {"device": "x86_64 CPU", "versions": {"dpk-select": "0.1.0", "torch": "2.15.0", "timm": "1.0.31"}}
        ],
    },
    "rows": [
        {
            "rank": 1,
            "candidate_id": 2,
            "teacher": "cifar/resnet20",
            "label": "resnet20",
            "status": "exploring",
            "reason": None,
            "teacher_accuracy": 0.978,
            "teacher_test_accuracy": 0.969,
            "teacher_parameters": 272186,
            "stamp": "5c0a9e21",
            "scores": {"size": 272186.0, "logme": 0.42, "leep": -0.11, "h_score": 7.9, "cka_gap": 0.63},
            "preparation": {"weights": "random", "identity": None, "kind": "train", "epochs": 24, "seconds": 7.1},
            "probe": {"mean": 0.859, "sd": None, "seeds": 1},
            "full": None,
            "test": None,
            "expected": None,
            "chance": 0.71,
            "gain": None,
            "seconds": 21.4,
            "seeds": [
                {
                    "seed": 0,
                    "rungs": [{"epochs": 3, "score": 0.859}],
                    "probe_score": 0.859,
                    "full_score": None,
                    "test_score": None,
                }
            ],
            "notices": [
                {
                    "level": "info",
                    "message": "In some steps the share of stage last took its fallback value, because CKA was "
                    "undefined, near zero or negative.",
                }
            ],
        }
    ],
    "verdict": {
        "kind": "undecided",
        "sentence": "Undecided: resnet20 leads, best with a chance of 71%; resnet8w8 may still be better.",
        "best": None,
        "tied": [],
        "final": False,
        "chance": 0.71,
        "regret": 0.0024,
        "change": 0.33,
        "cautions": [],
    },
    "decisions": [
        {
            "number": 1,
            "stage": "exploring",
            "steps": [{"teacher": "cifar/resnet20", "seed": 0, "epochs": 3, "purpose": "explore"}],
            "reason": "A first look at every teacher.",
            "chances": {"cifar/resnet20": 0.6, "cifar/resnet8w8": 0.4},
            "regret": 0.0056,
        }
    ],
    "correlations": [
        {
            "name": "teacher_probe",
            "title": "teacher accuracy and student probe",
            "scope": "job",
            "statistic": "pearson",
            "rung": 0.25,
            "value": None,
            "low": None,
            "high": None,
            "confidence": 0.9,
            "pairs": 2,
            "note": "Not measurable with 2 teachers (it takes at least 4).",
        }
    ],
    "trust": {
        "stamp": "5c0a9e21",
        "stamp_holds": list(HOLDS),
        "teachers": 2,
        "trained": 0,
        "audited": 0,
        "winner": None,
        "note": "Not measurable with 0 of 2 teachers trained fully (it takes at least 2).",
        "rivals": [
            {
                "name": "teacher_accuracy",
                "title": "the most accurate",
                "picks": ["cifar/resnet20"],
                "trained_picks": [],
                "hit": None,
                "chance": None,
                "regret": None,
                "regret_two": None,
                "over_probe": None,
                "note": None,
                "record": {
                    "questions": 3,
                    "hits": {"value": 0.333, "low": 0.089, "high": 0.718, "confidence": 0.9},
                    "regret": {"value": 0.004, "low": -0.001, "high": 0.009, "confidence": 0.9},
                    "paired": {
                        "questions": 3,
                        "complete": 1,
                        "ahead": 1,
                        "equal": 2,
                        "behind": 0,
                        "difference": {"value": 0.004, "low": -0.001, "high": 0.009, "confidence": 0.9},
                    },
                },
            }
        ],
    },
    "ledger": {
        "teachers": 14.2,
        "exploring": 7.2,
        "confirming": 0.0,
        "audit": 0.0,
        "wasted": 0.0,
        "reused": 0.0,
        "spent": 21.4,
        "exhaustive": 96.0,
        "saved": None,
        "devices": ["cpu"],
        "by_device": {"cpu": 21.4},
        "purposes_by_device": {
            "cpu": {"teachers": 14.2, "exploring": 7.2, "confirming": 0.0, "audit": 0.0, "wasted": 0.0}
        },
    },
    "curves": [
        {
            "candidate_id": 2,
            "label": "resnet20",
            "purpose": "student",
            "seed": 0,
            "points": [{"epoch": 1, "values": {"validation_accuracy": 0.41, "share.last": 0.62, "cka.last": 0.38}}],
        }
    ],
}
