"""What a stored plan rests on that is not the same any more: data set, weights, training version.

Looks at files, so it belongs outside of transactions. Identities are remembered by size and time of change; only files
that are new to this process are read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dpk_core.catalogue.datasets import dataset_card
from dpk_core.catalogue.models import model_card
from dpk_core.catalogue.weight_names import RANDOM, join_weights
from dpk_core.catalogue.weights import find_weights, word_for
from dpk_core.detection_settings import DetectionSettings
from dpk_core.errors import DataFault, InvalidRequest
from dpk_core.spec import TRAINING_VERSION, Start
from service.scheduling.plan import Plan
from service.settings import settings

_UNREADABLE = (InvalidRequest, DataFault, OSError)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataNow:
    """A data set's fingerprint at present; None, with the reason, where it cannot be read."""

    name: str
    fingerprint: str | None
    reason: str | None = None


def data_now(name: str) -> DataNow:
    """The data set as this server finds it."""
    try:
        card = dataset_card(name, settings().data_root, "dataset")
    except _UNREADABLE as error:
        return DataNow(name=name, fingerprint=None, reason=_reason(error))
    return DataNow(name=name, fingerprint=card.fingerprint)


def changes(plan: Plan, data: DataNow, teachers: Iterable[str]) -> list[str]:
    """What has changed since the plan was made, each in a sentence; `teachers`: those that matter, by label."""
    found = [
        _data_changed(plan, data), _weights_changed(plan.student, plan.student_start, plan.student_recipe.detection)
    ]  # fmt: skip
    for teacher in teachers:
        preparation = plan.preparation(teacher)
        found.append(_weights_changed(preparation.model, preparation.start, preparation.recipe.detection))
    if plan.version != TRAINING_VERSION:
        versions = f"version {plan.version}, now {TRAINING_VERSION}"
        found.append(f"The training code has changed since the job was made ({versions}).")
    return [sentence for sentence in dict.fromkeys(found) if sentence is not None]


def _data_changed(plan: Plan, data: DataNow) -> str | None:
    if data.fingerprint is None:
        return f"The data set {data.name} cannot be read now: {data.reason}"
    return (
        None
        if data.fingerprint == plan.data_fingerprint
        else f"The data set {data.name} has changed since the job was made."
    )


def _weights_changed(model: str, start: Start | None, detection: DetectionSettings | None) -> str | None:
    """None where the model is known and starts from the same weights as then. `detection`: how a detector is built."""
    weights = RANDOM
    try:
        model_card(model, "model")
        weights = word_for(model, start)
        now = find_weights(model, weights, settings().weights_root, "weights", detection)
    except _UNREADABLE as error:
        return f"{join_weights(model, weights)} cannot be had now: {_reason(error)}"
    same = start == (None if now is None else now.start)
    return None if same else f"The weights of {join_weights(model, weights)} have changed since the job was made."


def _reason(error: Exception) -> str:
    return error.message if isinstance(error, InvalidRequest) else str(error)
