"""Measures an installed detector and prints its document as one line of JSON, as `models.describe_plugin` of others.

python -m dpk_core.detection.describe_plugin plugin/NAME-HASH
"""

from __future__ import annotations

import json
import sys

from dpk_core.catalogue.own_models import OwnModel
from dpk_core.catalogue.parameters import WeightsCard
from dpk_core.catalogue.plugins import entry_point, identity
from dpk_core.codec import to_json
from dpk_core.detection.plugged import build_plugged, card_entry
from dpk_core.detection_settings import DetectionSettings
from dpk_core.models.describe import listed_parameters, trainable

CLASSES = 3


def describe(name: str) -> OwnModel:
    """The document of an installed detector. Raises whatever its code raises."""
    found, canvas = entry_point(name), DetectionSettings().canvas
    assert found is not None, name
    model = build_plugged(name, classes=CLASSES, canvas=canvas, seed=0)
    return OwnModel(
        name=name, source="plug-in", identity=identity(found), card=card_entry(model, canvas, CLASSES),
        weights=dict(to_json(WeightsCard(head={}))), parameters=listed_parameters(name, model),
        count=trainable(model, ()),
    )  # fmt: skip


if __name__ == "__main__":
    document = to_json(describe(sys.argv[1]))
    sys.stdout.write(f"\n{json.dumps(document)}\n")
