"""What runs on a device. Every test here is marked `gpu` and skipped where there is none."""

from __future__ import annotations

import os

import pytest
import torch

# cuBLAS reads this once, when the process first uses it, and is deterministic only with it; as in the runner.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


@pytest.fixture
def device() -> torch.device:
    """The first CUDA device."""
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    return torch.device("cuda:0")
