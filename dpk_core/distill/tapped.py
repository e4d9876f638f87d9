"""Methods that compare feature maps of student and teacher. B pictures, C channels (classes for logits), H x W map."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dpk_core.catalogue.models import Tap
from dpk_core.distill.inputs import Taps
from dpk_core.distill.method import Compiler, Method, unchanged
from dpk_core.models.taps import FeatureTaps

ForwardWithTaps = Callable[[Tensor], tuple[Tensor, list[Tensor]]]
"""Runs a network on pictures: logits and the maps at its taps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairOutputs:
    """What both networks gave for one batch; the maps from the deepest tap upwards."""

    logits_BC: Tensor
    teacher_logits_BC: Tensor
    student_maps: list[Tensor]
    teacher_maps: list[Tensor]


class TappedMethod(Method):
    """A method with a teacher whose maps it sees at `taps`."""

    needs_teacher = True

    def __init__(self, student: nn.Module, teacher: nn.Module, taps: Taps) -> None:
        super().__init__(student, teacher)
        self.taps = taps
        # None, not the eager one: a method of its own, kept in itself, would keep both networks on the device.
        self._compiled_student: ForwardWithTaps | None = None
        self._compiled_teacher: ForwardWithTaps | None = None

    def run_both(self, pictures_BCHW: Tensor) -> PairOutputs:
        """Runs teacher and student; the hooks are gone afterwards, save those of compiled networks."""
        with torch.no_grad(), unchanged(pictures_BCHW):
            teacher_logits_BC, teacher_maps = (self._compiled_teacher or self._tapped_teacher)(pictures_BCHW)
        logits_BC, student_maps = (self._compiled_student or self._tapped_student)(pictures_BCHW)
        return PairOutputs(
            logits_BC=logits_BC,
            teacher_logits_BC=teacher_logits_BC,
            student_maps=student_maps,
            teacher_maps=teacher_maps,
        )

    def _compile(self, compiler: Compiler) -> None:
        """See `Method`. Hooks stay: ones that came anew in each step would be compiled anew. As the teacher is lent,
        its hooks are those of a copy."""
        self._compiled_student = compiler(_seeing(self.student, self.taps.student))
        self._compiled_teacher = compiler(_seeing(copy.deepcopy(self._the_teacher()), self.taps.teacher))

    def _the_teacher(self) -> nn.Module:
        assert self.teacher is not None
        return self.teacher

    def _tapped_student(self, pictures_BCHW: Tensor) -> tuple[Tensor, list[Tensor]]:
        with FeatureTaps(self.student, self.taps.student) as taps:
            return self.student(pictures_BCHW), taps.maps

    def _tapped_teacher(self, pictures_BCHW: Tensor) -> tuple[Tensor, list[Tensor]]:
        teacher = self._the_teacher()
        with FeatureTaps(teacher, self.taps.teacher) as taps:
            return teacher(pictures_BCHW), taps.maps


def _seeing(model: nn.Module, wanted: tuple[Tap, ...]) -> ForwardWithTaps:
    """Taps the model for good."""
    taps = FeatureTaps(model, wanted)
    taps.open()

    def see(pictures_BCHW: Tensor) -> tuple[Tensor, list[Tensor]]:
        # Left where they are, by this step or by a look at the model in between, the maps would make the next step
        # another case to compile.
        taps.begin()
        return model(pictures_BCHW), taps.take()

    return see


def resize_like(student_BCHW: Tensor, teacher_BCHW: Tensor, *, align_corners: bool = False) -> Tensor:
    """The student's map at the teacher's height and width, bilinear; untouched when they agree."""
    size = teacher_BCHW.shape[-2:]
    if student_BCHW.shape[-2:] == size:
        return student_BCHW
    return F.interpolate(student_BCHW, size=size, mode="bilinear", align_corners=align_corners)
