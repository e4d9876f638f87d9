"""Methods that compare feature maps of student and teacher. B pictures, C channels (classes for logits), H x W map."""

from __future__ import annotations

from dataclasses import dataclass

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

    def look(self, pictures_BCHW: Tensor) -> Seen:
        """Runs teacher and student; the hooks are gone afterwards."""
        assert self.teacher is not None
        with FeatureTaps(self.teacher, self.taps.teacher) as teacher_taps:
            teacher_logits_BC = self.ask_teacher(pictures_BCHW)
        with FeatureTaps(self.student, self.taps.student) as student_taps:
            logits_BC = self.student(pictures_BCHW)
        return Seen(
            logits_BC=logits_BC,
            teacher_logits_BC=teacher_logits_BC,
            student_maps=student_taps.maps,
            teacher_maps=teacher_taps.maps,
        )


def resize_like(student_BCHW: Tensor, teacher_BCHW: Tensor) -> Tensor:
    """The student's map at the teacher's height and width, bilinear; untouched when they agree."""
    size = teacher_BCHW.shape[-2:]
    if student_BCHW.shape[-2:] == size:
        return student_BCHW
    return F.interpolate(student_BCHW, size=size, mode="bilinear", align_corners=False)
