"""Detectors of installed packages: what is known of them without building them. They teach, and are no students. No
torch."""

from __future__ import annotations

from typing import cast

from dpk_core.catalogue import plugins
from dpk_core.catalogue.detection.detectors import FAMILY
from dpk_core.catalogue.own_models import own_model
from dpk_core.detection_settings import LevelName
from dpk_core.errors import InvalidRequest


def is_plugged(name: str) -> bool:
    """Whether a package that is installed here brings a detector of this name."""
    found = plugins.entry_point(name)
    return found is not None and found.group == plugins.DETECTORS_GROUP


def plugged_levels(name: str, field: str) -> dict[LevelName, int]:
    """Channels of the maps that an installed detector gives, the finest level first. Raises InvalidRequest on `field`
    where its package cannot be used."""
    own = own_model(name, field)
    assert own is not None, name
    return {cast(LevelName, level): channels for level, channels, *_ in own.card["taps"]}


def check_student(name: str, field: str) -> str:
    """The name. Raises InvalidRequest on `field` for a detector that only teaches."""
    if is_plugged(name):
        raise InvalidRequest(field, f"{name} can only teach: take a student of the catalogue ({FAMILY}/…).")
    return name
