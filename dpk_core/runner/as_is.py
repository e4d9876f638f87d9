"""What validation pictures show of weights that are judged as they are: how pictures were scaled for them, and whether
their classes stand in another order. N pictures, C classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dpk_core.data.batches import in_order
from dpk_core.data.boxes import Targets
from dpk_core.data.crops import Draws
from dpk_core.data.split import ImageData, PictureSplit, Reading
from dpk_core.models.evaluating import evaluating
from dpk_core.models.preprocessing import feed_as_trained, side_seen
from dpk_core.preprocessing import COMMON_SCALINGS, ModelPreprocessing, asked_for
from dpk_core.protocol import Notice
from dpk_core.randomness import derive
from dpk_core.spec import TrainingSpec
from dpk_core.training.evaluate import pictures_at_once
from dpk_core.training.training import Training

PICTURES = 2000
"""Validation pictures that are looked at, at most, and the same ones for every teacher."""
CLEAR_ERRORS, CLEAR_PART = 3.0, 0.02
"""Standard errors of a paired difference, and the part of the pictures, from which another way is clearly better."""
AS_DATA_SET = "the data set's own"
MOST_LISTED = 50
"""Classes whose order a notice gives in full."""

UNKNOWN = "The picture scaling of these weights is not known; the data set's own mean and deviation are used."

GIVE = "Give mean and std with the teacher if you know them."


def scaling_notice(training: Training) -> list[Notice]:
    """That the scaling of a teacher's weights is not known; of weights that are judged as they are, how it does under
    the common ones.

    Where the specification says so, the clearly best of them is taken from now on, and the notice says which.
    """
    spec = training.spec
    if not _brings_weights(spec) or (spec.preprocessing and spec.preprocessing.mean is not None):
        return []
    if spec.recipe.epochs > 0:
        return [Notice(level="info", message=f"{UNKNOWN} {GIVE}")]
    right = _right_by_scaling(training.model, training.data)
    accuracies = {name: float(right_N.mean()) for name, right_N in right.items()}
    found = ", ".join(f"{accuracy:.1%} by {name}" for name, accuracy in accuracies.items())
    looked = f"Validation accuracy by scaling: {found}."
    best = max(accuracies, key=accuracies.__getitem__)
    if best == AS_DATA_SET or not is_clearly_better(right[best], right[AS_DATA_SET]):
        return [Notice(level="info", message=f"{UNKNOWN} {looked} {GIVE}")]
    data, chosen = training.data, _for(training.data, COMMON_SCALINGS[best])
    give = asked_for(_in_its_order(COMMON_SCALINGS[best], spec.preprocessing))
    if spec.preprocessing is not None and spec.preprocessing.measured:
        feed_as_trained(training.model, chosen, data.mean, data.std, first=True)
        own = _in_its_order(chosen, spec.preprocessing)
        training.preprocessing = replace(
            spec.preprocessing, mean=own.mean, std=own.std, scale=own.scale, measured=False
        )  # fmt: skip
        message = f"The picture scaling of these weights is not known; {best} fits clearly best and is used ({give}). "
        message += looked
        return [Notice(level="warning", message=message)]
    message = f"{UNKNOWN} {looked} {best} fits clearly better: give {give} with the teacher."
    return [Notice(level="warning", message=message)]


def order_notice(training: Training) -> list[Notice]:
    """That the classes of weights that are judged as they are stand in another order, as far as it shows."""
    spec, data = training.spec, training.data
    if not _brings_weights(spec) or spec.recipe.epochs > 0:
        return []
    looked = ShuffledSample.at(data)
    answers_N, labels_N = _answers(training.model, data, looked), looked.labels.cpu().numpy()
    try:
        found = class_order(answers_N, labels_N, data.card.classes)
    except ImportError:
        message = (
            "Whether the classes of these weights stand in another order was not looked at: scipy is not installed."
        )
        return [Notice(level="info", message=message)]
    if found is None:
        return []
    order = found.order if spec.class_map is None else tuple(spec.class_map[place] for place in found.order)
    message = (
        f"The classes of these weights stand in another order{_turned(found.order)}: read in the order of the data, "
        f"{found.accuracy:.1%} of validation pictures are right instead of {found.before:.1%}."
    )
    if len(order) <= MOST_LISTED:
        message += f" Give class_map={'/'.join(map(str, order))} with the teacher, if the names agree."
    return [Notice(level="warning", message=message)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassOrder:
    """`order`: for each class of the data, the one of the weights that names it; accuracies with it and `before`."""

    order: tuple[int, ...]
    accuracy: float
    before: float


def class_order(answers_N: NDArray[np.int64], labels_N: NDArray[np.int64], classes: int) -> ClassOrder | None:
    """The permutation of classes under which most answers are right, where it is clearly better than none.

    It is found on one half of the pictures and tried on the other, as the best of so many would look better by chance.
    Raises ImportError without scipy.
    """
    from scipy import optimize  # here, as networks train without it

    confusion_CC = np.zeros((classes, classes), np.int64)
    np.add.at(confusion_CC, (labels_N[::2], answers_N[::2]), 1)
    # What nothing speaks about stays where it is.
    order = optimize.linear_sum_assignment(confusion_CC + 0.5 * np.eye(classes), maximize=True)[1]
    others, labels = answers_N[1::2], labels_N[1::2]
    mapped, plain = order[labels] == others, labels == others
    if not is_clearly_better(mapped, plain):
        return None
    return ClassOrder(order=tuple(order.tolist()), accuracy=float(mapped.mean()), before=float(plain.mean()))


def is_clearly_better(one_N: NDArray[np.bool_], other_N: NDArray[np.bool_]) -> bool:
    """Whether one way is right more often than another on the same pictures, beyond noise and by enough to matter."""
    difference_N = one_N.astype(float) - other_N
    error = float(difference_N.std()) / len(difference_N) ** 0.5
    return bool(difference_N.mean() > max(CLEAR_PART, CLEAR_ERRORS * error))


@dataclass(frozen=True, slots=True)
class ShuffledSample:
    """Some pictures of a split, in an order of their own."""

    split: PictureSplit
    positions: Tensor
    labels: Tensor

    @classmethod
    def at(cls, data: ImageData) -> ShuffledSample:
        """Of the validation pictures, at most `PICTURES`, shuffled."""
        split = data.validation
        generator = torch.Generator().manual_seed(derive(0, "weights as they are"))
        positions = torch.randperm(len(split), generator=generator)[:PICTURES]
        return cls(split, positions, split.labels[positions.to(split.labels.device)])

    def __len__(self) -> int:
        return len(self.positions)

    def targets(self, positions_B: Tensor) -> Targets:
        """See `PictureSplit`."""
        return self.split.targets(self.positions[positions_B])

    def start_reading(self, positions_B: Tensor, crops_BA4: Draws | None = None) -> Reading:
        """See `PictureSplit`."""
        return self.split.start_reading(self.positions[positions_B], crops_BA4)


def _brings_weights(spec: TrainingSpec) -> bool:
    return spec.task == "classification" and spec.role == "teacher" and spec.start is not None


def _right_by_scaling(model: nn.Module, data: ImageData) -> Mapping[str, NDArray[np.bool_]]:
    """Which pictures are right under each scaling that the network can take, the data set's own first."""
    looked = ShuffledSample.at(data)
    labels_N = looked.labels.cpu().numpy()
    right = {AS_DATA_SET: _answers(model, data, looked) == labels_N}
    for name, scaling in COMMON_SCALINGS.items():
        handle = feed_as_trained(model, _for(data, scaling), data.mean, data.std, first=True)
        try:
            right[name] = _answers(model, data, looked) == labels_N
        finally:
            handle.remove()
    return right


def _for(data: ImageData, scaling: ModelPreprocessing) -> ModelPreprocessing:
    """As the network takes it, which is built for one channel where the data have one."""
    return scaling.grey() if data.card.channels == 1 else scaling


def _in_its_order(scaling: ModelPreprocessing, own: ModelPreprocessing | None) -> ModelPreprocessing:
    """With mean and deviation in the order of channels that a network of `own` takes: it is looked at in the data's."""
    if own is None or own.channel_order != "bgr" or scaling.mean is None or scaling.std is None:
        return scaling
    return replace(scaling, mean=scaling.mean[::-1], std=scaling.std[::-1])


def _answers(model: nn.Module, data: ImageData, looked: ShuffledSample) -> NDArray[np.int64]:
    """The class that each picture is taken for."""
    batch = pictures_at_once(side_seen(model, data.card.side) ** 2)
    with evaluating(model), torch.no_grad():
        answers = [model(data.normalise(pictures)).argmax(1) for pictures, _ in in_order(looked, batch)]
    return torch.cat(answers).cpu().numpy()


def _turned(order: tuple[int, ...]) -> str:
    """That all are moved by the same number."""
    moved = {(place - index) % len(order) for index, place in enumerate(order)}
    if len(moved) != 1:
        return ""
    (by,) = moved
    by = by if by <= len(order) // 2 else by - len(order)
    return f" (turned by {'one' if by == 1 else 'minus one' if by == -1 else by})"
