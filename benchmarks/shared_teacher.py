"""A teacher that looks at each batch of an epoch once, however many students are shown its answer.

Students of one seed see the same pictures in the same order whatever their method, and a teacher in evaluation mode
gives the same answer every time; asking it anew for every student would be most of an ablation's cost.
"""

from __future__ import annotations

import hashlib
import time

import torch
from torch import Tensor, nn

from dpk_core.catalogue.models import model_card
from dpk_core.models.taps import FeatureTaps


class SharedTeacher(nn.Module):
    """Stands in for `teacher`: gives its logits, and its maps at modules of the same names.

    `seconds`: of CPU time that the teacher itself took since `forget`.
    """

    def __init__(self, teacher: nn.Module, name: str) -> None:
        super().__init__()
        self.teacher = teacher
        self.seconds = 0.0
        self._taps = model_card(name, "teacher").taps
        self._answers: dict[bytes, tuple[Tensor, list[Tensor]]] = {}
        for tap in self._taps:
            *path, last = tap.module.split(".")
            place: nn.Module = self
            for part in path:
                if part not in dict(place.named_children()):
                    place.add_module(part, nn.ModuleDict())
                place = place.get_submodule(part)
            place.add_module(last, nn.Identity())

    def forward(self, pictures_BCHW: Tensor) -> Tensor:
        """Logits, one row a picture; hooks at the taps see the maps."""
        seen = hashlib.blake2b(pictures_BCHW.detach().contiguous().numpy().tobytes()).digest()
        if seen not in self._answers:
            began = time.process_time()
            with FeatureTaps(self.teacher, self._taps) as tapped, torch.no_grad():
                logits_BC = self.teacher(pictures_BCHW)
            self._answers[seen] = (logits_BC, tapped.maps)
            self.seconds += time.process_time() - began
        logits_BC, maps = self._answers[seen]
        for tap, map_BCHW in zip(self._taps, maps, strict=True):
            self.get_submodule(tap.module)(map_BCHW)
        return logits_BC

    def forget(self) -> None:
        """Begins a new epoch, whose batches are others."""
        self._answers.clear()
        self.seconds = 0.0
