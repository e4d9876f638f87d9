"""Everything that must hold on a GPU, skipped where there is none."""

from __future__ import annotations

import pytest
import torch

from tests.gpu.checks import ANYWHERE, ON_A_GPU, run

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("name", [*ON_A_GPU, *ANYWHERE])
def test_on_a_gpu(name: str) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    run((ON_A_GPU | ANYWHERE)[name], torch.device("cuda:0"))
