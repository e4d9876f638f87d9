"""How the ranks of one machine find each other."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist

from dpk_core.parallel.world import World


def meet(meeting: Path, rank: int, size: int, device: torch.device) -> World:
    """Waits for the other ranks at the file `meeting`, which nobody has used before, and opens torch's default process
    group: NCCL between GPUs, Gloo between CPUs and for what the hosts exchange. A GPU is the process's current one."""
    if sys.platform == "linux":
        # They are all here; a host's name may lead anywhere.
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    backend, own_device = "gloo", None
    if device.type == "cuda":
        backend, own_device = "cpu:gloo,cuda:nccl", device
    dist.init_process_group(backend, init_method=f"file://{meeting}", rank=rank, world_size=size, device_id=own_device)
    return World(rank=rank, size=size)
