"""A stage equals the authors' modules: their outputs for fixed weights, inputs and masks, in float64.

`authors_stages.npz` holds numbers only: two stages (patches of 1 and 2) under our parameter names, inputs, noise and
mask, and what the authors' code made of them.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from dpk_core.distill.stage import PriorStage, StageOutcome, StageSizes

FILE = Path(__file__).with_name("authors_stages.npz")
SIZES = StageSizes(
    encoder_width=16, encoder_depth=2, encoder_heads=2, decoder_width=12, decoder_depth=1, decoder_heads=3
)


class Authors:
    """One stage of the file."""

    def __init__(self, patch: int) -> None:
        with np.load(FILE, allow_pickle=False) as arrays:
            prefix = f"patch{patch}."
            self.arrays: dict[str, NDArray[np.float64]] = {
                name.removeprefix(prefix): arrays[name] for name in arrays.files if name.startswith(prefix)
            }
        student, teacher = self["student_BCHW"], self["teacher_BCHW"]
        height, width = teacher.shape[-2:]
        sizes = replace(SIZES, patch=patch)
        self.stage = PriorStage(student.shape[1], teacher.shape[1], (height, width), sizes).double()
        weights = [name for name in self.arrays if name.startswith("weights.")]
        self.stage.load_state_dict({name.removeprefix("weights."): self[name] for name in weights})

    def __getitem__(self, name: str) -> Tensor:
        return torch.from_numpy(self.arrays[name])

    def outcome(self, student_BCHW: Tensor) -> StageOutcome:
        given = int(self["mask_BN"][0].sum())
        done: StageOutcome = self.stage(student_BCHW, self["teacher_BCHW"], self["noise_BN"], given)
        return done


@pytest.fixture(params=[1, 2])
def authors(request: pytest.FixtureRequest) -> Authors:
    return Authors(request.param)


def test_the_mask_is_theirs(authors: Authors) -> None:
    assert torch.equal(authors.outcome(authors["student_BCHW"]).split.mask_BN, authors["mask_BN"].bool())


def test_the_rebuilt_map_is_theirs(authors: Authors) -> None:
    rebuilt_BCHW = authors.outcome(authors["student_BCHW"]).rebuilt_BCHW
    torch.testing.assert_close(rebuilt_BCHW, authors["rebuilt_BCHW"], rtol=0, atol=1e-12)


def test_loss_and_gradients_are_theirs(authors: Authors) -> None:
    student_BCHW = authors["student_BCHW"].requires_grad_()
    loss = authors.outcome(student_BCHW).loss
    loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    assert loss.item() == pytest.approx(authors["loss"].item(), rel=1e-6)
    found = {
        "student_gradient_BCHW": student_BCHW.grad,
        "gradient.to_decoder.weight": authors.stage.to_decoder.weight.grad,
        "gradient.student_embedding.weight": authors.stage.student_embedding.linear.weight.grad,
        "gradient.teacher_embedding.weight": authors.stage.teacher_embedding.linear.weight.grad,
    }
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, authors[name], rtol=0, atol=1e-6, msg=name)
