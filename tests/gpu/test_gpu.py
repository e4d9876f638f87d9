"""Everything that must hold on a GPU, skipped where there is none."""

from __future__ import annotations

import pytest
import torch

from tests.gpu.checks import CHECKS, run

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("name", CHECKS)
def test_on_a_gpu(name: str) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    run(CHECKS[name], torch.device("cuda:0"))
