"""Builds a distillation method of classification by name. A new method is one file and one line in `METHODS`."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from torch import Tensor, nn

from dpk_core.distill import at, crd, dist, dkd, dpk_arms, fitnet, kd, none, reviewkd, rkd, sp
from dpk_core.distill.inputs import MethodInputs
from dpk_core.distill.method import Method
from dpk_core.spec import MethodName, MethodSpec


def build_method(
    spec: MethodSpec,
    *,
    student: nn.Module,
    student_name: str,
    teacher: nn.Module | None,
    teacher_name: str | None,
    picture_shape: tuple[int, int, int],
    seed: int,
    training_labels: Tensor | None = None,
) -> Method:
    """The method `spec`, in training mode, around models that lie on one device; its own modules are made there too.

    They are initialised from `seed`; student and teacher keep their weights, and no global random state moves. Raises
    ValueError when the method and `teacher` do not fit or when it needs the `training_labels` (those of the whole
    training split) and has none, InvalidRequest for an unknown model name, a model without two maps to tap or a map
    that is too small.
    """
    inputs = MethodInputs(
        spec=spec, student=student, student_name=student_name, teacher=teacher, teacher_name=teacher_name,
        picture_shape=picture_shape, training_labels=training_labels, seed=seed,
    )  # fmt: skip
    return METHODS[cast(MethodName, spec.name)](inputs)


METHODS: dict[MethodName, Callable[[MethodInputs], Method]] = {
    "none": none.build,
    "kd": kd.build,
    "dpk": dpk_arms.build_dpk,
    "dpk_no_teacher_tokens": dpk_arms.build_no_teacher_tokens,
    "dpk_features_only": dpk_arms.build_features_only,
    "fitnet": fitnet.build,
    "at": at.build,
    "sp": sp.build,
    "rkd": rkd.build,
    "crd": crd.build,
    "dkd": dkd.build,
    "dist": dist.build,
    "reviewkd": reviewkd.build,
}
"""How each method is made."""
