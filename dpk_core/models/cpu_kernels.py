"""Keeps oneDNN, which computes torch's convolutions on a CPU, from kernels that write beyond their memory."""

from __future__ import annotations

import os

import torch

VARIABLE = "ONEDNN_MAX_CPU_ISA"


def avoid_faulty_kernels() -> None:
    """Limits oneDNN to AVX on processors with AVX2 and without AVX-512, unless the variable is set already.

    There, backward convolutions of few channels corrupt the heap (oneDNN 3.12.0 in torch 2.14.1 and 3.13.3 in 2.15.0;
    decision 16), and a training dies by a signal. oneDNN reads the variable once, at the first convolution.
    """
    if torch.backends.cpu.get_cpu_capability() == "AVX2":
        os.environ.setdefault(VARIABLE, "AVX")
