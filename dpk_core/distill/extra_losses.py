"""The rivals' losses as terms beside DPK's own: each is what its rival adds to the cross-entropy, at the rival's
default weights, on the logits or on the maps that DPK taps. Pictures are compared with those of all ranks."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from dpk_core.distill.at import AtOptions, attention_losses
from dpk_core.distill.dist import DistOptions, relation_losses
from dpk_core.distill.dkd import DkdOptions, decoupled_losses
from dpk_core.distill.method import StepContext, class_numbers
from dpk_core.distill.rkd import RkdOptions, angle_loss, distance_loss
from dpk_core.distill.sp import SpOptions, similarity_loss
from dpk_core.distill.tapped import PairOutputs
from dpk_core.distill.warm_up import warm_up
from dpk_core.dpk_settings import ExtraName


def _at(seen: PairOutputs, _: Tensor, __: StepContext) -> Tensor:
    return AtOptions().feature_weight * attention_losses(seen)


def _sp(seen: PairOutputs, _: Tensor, step: StepContext) -> Tensor:
    maps = step.world.gather_all(seen.student_maps[0], seen.teacher_maps[0])
    return SpOptions().feature_weight * similarity_loss(*maps)


def _rkd(seen: PairOutputs, _: Tensor, step: StepContext) -> Tensor:
    options, maps = RkdOptions(), step.world.gather_all(seen.student_maps[0], seen.teacher_maps[0])
    distance: Tensor = options.distance_weight * distance_loss(*maps)
    return distance + options.angle_weight * angle_loss(*maps)


def _dkd(seen: PairOutputs, labels_B: Tensor, step: StepContext) -> Tensor:
    options = DkdOptions()
    target, others = decoupled_losses(
        seen.logits_BC, seen.teacher_logits_BC, class_numbers(labels_B), options.temperature
    )
    return warm_up(step) * (options.target_weight * target + options.other_weight * others)


def _dist(seen: PairOutputs, _: Tensor, step: StepContext) -> Tensor:
    options = DistOptions()
    logits_BC, teacher_logits_BC = step.world.gather_all(seen.logits_BC, seen.teacher_logits_BC)
    inter, intra = relation_losses(logits_BC, teacher_logits_BC, options.temperature)
    return options.inter_weight * inter + options.intra_weight * intra


EXTRA_LOSSES: dict[ExtraName, Callable[[PairOutputs, Tensor, StepContext], Tensor]] = {
    "at": _at,
    "sp": _sp,
    "rkd": _rkd,
    "dkd": _dkd,
    "dist": _dist,
}
"""Every extra loss by name, from what both networks gave, the labels (as `Method.forward` has them) and the step."""
