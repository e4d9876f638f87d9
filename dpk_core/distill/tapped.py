"""Methods that compare feature maps of student and teacher. B pictures, C channels (classes for logits), H x W map."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dpk_core.distill.inputs import Taps
from dpk_core.distill.method import Method
from dpk_core.models.taps import FeatureTaps


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
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
        self._see_student: Callable[[Tensor], tuple[Tensor, list[Tensor]]] = self._see_eagerly

    def look(self, pictures_BCHW: Tensor) -> Seen:
        """Runs teacher and student; the hooks are gone afterwards, save those of a compiled student."""
        assert self.teacher is not None
        with FeatureTaps(self.teacher, self.taps.teacher) as teacher_taps:
            teacher_logits_BC = self.ask_teacher(pictures_BCHW)
        logits_BC, student_maps = self._see_student(pictures_BCHW)
        return Seen(
            logits_BC=logits_BC,
            teacher_logits_BC=teacher_logits_BC,
            student_maps=student_maps,
            teacher_maps=teacher_taps.maps,
        )

    def compile_student(self) -> None:
        """See `Method`. The student's hooks stay: ones that came anew in each step would be compiled anew."""
        taps = FeatureTaps(self.student, self.taps.student)
        taps.open()

        def see(pictures_BCHW: Tensor) -> tuple[Tensor, list[Tensor]]:
            # Left where they are, they would make the next step another case to compile.
            return self.student(pictures_BCHW), taps.take()

        self._see_student = torch.compile(see, dynamic=False)

    def _see_eagerly(self, pictures_BCHW: Tensor) -> tuple[Tensor, list[Tensor]]:
        with FeatureTaps(self.student, self.taps.student) as taps:
            return self.student(pictures_BCHW), taps.maps


def resize_like(student_BCHW: Tensor, teacher_BCHW: Tensor, *, align_corners: bool = False) -> Tensor:
    """The student's map at the teacher's height and width, bilinear; untouched when they agree."""
    size = teacher_BCHW.shape[-2:]
    if student_BCHW.shape[-2:] == size:
        return student_BCHW
    return F.interpolate(student_BCHW, size=size, mode="bilinear", align_corners=align_corners)
