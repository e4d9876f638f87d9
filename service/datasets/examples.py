"""Examples for the OpenAPI document; a test holds them against the schema."""

from __future__ import annotations

from typing import Any

_LINKS = {"self": "/datasets/folder/flowers", "page": "/data/folder/flowers"}

DATASET_LIST: dict[str, Any] = {
    "datasets": [
        {"name": "digits", "links": {"self": "/datasets/digits", "page": "/data/digits"}},
        {"name": "folder/flowers", "links": _LINKS},
    ],
    "unused": [{"name": "papers", "reason": "holds 12 files (a.pdf, b.pdf, c.pdf and 9 more)"}],
}

DATASET: dict[str, Any] = {
    "task": "classification",
    "version": 1,
    "name": "folder/flowers",
    "fingerprint": "sha256:87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826/split-1/reading-3/side-224/"
    "whole/white",
    "default_recipe": "photos",
    "channels": 3,
    "side": 224,
    "fit": "whole",
    "background": "white",
    "train_pictures": 480,
    "validation_pictures": 100,
    "test_pictures": 120,
    "held_out": ["test"],
    "classes": [
        {"name": "daisy", "train": 320, "validation": 60, "test": 80},
        {"name": "rose", "train": 160, "validation": 40, "test": 40},
    ],
    "most_frequent": "daisy",
    "base_rate": 0.6,
    "smallest": "rose",
    "left_out": [{"what": ".txt", "count": 1, "example": "train/rose/source.txt"}],
    "survey": {
        "pictures": 700, "grey": 3, "deep": 0, "turned": 41, "transparent": 0, "oblong": 12, "most_oblong": 1.78,
        "far_larger": 0, "longer_edge": 1200, "shorter_edge": 900, "smallest": [320, 240], "usual_size": [1200, 900],
        "usual": 512, "largest": [4032, 3024], "largest_name": "flowers/train/daisy/IMG_0412.jpg",
    },
    "copies": {
        "validation_pictures": 100, "validation": 4, "test_pictures": 120, "test": 0, "train": 6, "two_classes": 0,
        "example": ["val/rose/012.jpg", "train/rose/007.jpg"],
    },
    "findings": [
        {
            "code": "validation_copies",
            "level": "warning",
            "message": "4 of 100 validation pictures (4.0%) are copies of training pictures, e.g. val/rose/012.jpg of "
            "train/rose/007.jpg, so accuracies are too high and favour networks that memorise.",
        },
        {
            "code": "left_out",
            "level": "info",
            "message": "Left out: 1 file ends in .txt, e.g. train/rose/source.txt.",
        },
    ],
    "refused": False,
    "samples": [{"name": "train/daisy/001.jpg", "label": "daisy", "picture": "data:image/png;base64,iVBORw0KGgo="}],
    "links": _LINKS,
}  # fmt: skip
