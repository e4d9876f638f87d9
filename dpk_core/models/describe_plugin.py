"""Measures an installed plug-in and prints its document as one line of JSON.

    python -m dpk_core.models.describe_plugin plugin/NAME-HASH

A process of its own, because the service, which asks, has no torch. The package's code runs here: the operator chose
to install it.
"""

from __future__ import annotations

import json
import sys

from torch import nn

from dpk_core.catalogue.own_models import OwnModel
from dpk_core.catalogue.parameters import LISTED_CHANNELS, LISTED_CLASSES
from dpk_core.catalogue.plugins import entry_point, identity
from dpk_core.codec import to_json
from dpk_core.models.describe import card_entry, first_side, listed_parameters, plugin_weights, trainable
from dpk_core.models.plugin import build_plugin


def describe(name: str) -> OwnModel:
    """The document of an installed plug-in. Raises whatever its code raises."""
    found = entry_point(name)
    assert found is not None, name
    member = name.partition("/")[2]

    def build(side: int) -> nn.Module:
        return build_plugin(member, LISTED_CLASSES, LISTED_CHANNELS, side).eval()

    side = first_side(build)
    model = build(side)
    card = card_entry(model, side, LISTED_CLASSES, build)
    sides = card.get("sides", {})
    other = None if "only" in sides or not card["taps"] else build(side * 2)
    # Always built for a side, so that a model which builds something for the side (a table of positions) can do so.
    card["sides"] = {**sides, "sized": True}
    weights = plugin_weights(model, other)
    return OwnModel(
        name=name, source="plug-in", identity=identity(found), card=card, weights=weights,
        parameters=listed_parameters(name, model), count=trainable(model, weights["head"]),
    )  # fmt: skip


if __name__ == "__main__":
    document = to_json(describe(sys.argv[1]))
    sys.stdout.write(f"\n{json.dumps(document)}\n")
