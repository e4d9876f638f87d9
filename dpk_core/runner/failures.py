"""What went wrong, in one sentence for a person and one word for the worker."""

from __future__ import annotations

import tempfile

import torch

from dpk_core import disk
from dpk_core.errors import ArtifactFault, DataFault, DiskFault, InvalidRequest, MissingHere, TrainingDiverged
from dpk_core.protocol import FailureKind

_KINDS: tuple[tuple[type[Exception], FailureKind], ...] = (
    (TrainingDiverged, "diverged"),
    (DataFault, "data"),
    (MissingHere, "missing_here"),
    (DiskFault, "disk_full"),
    (ArtifactFault, "artifact"),
    (InvalidRequest, "invalid"),
)

# How torch words it when the allocator of the CPU has no more to give: a plain RuntimeError.
_CPU_MEMORY = "DefaultCPUAllocator"


def classify(error: Exception) -> tuple[FailureKind, str]:
    """The kind of failure and its sentence."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or _CPU_MEMORY in str(error):
        return "out_of_memory", "The device has too little memory for this run; take a smaller batch or model."
    if not isinstance(error, DiskFault) and (refused := disk.trouble(error)) is not None:
        return "disk_full", disk.sentence(refused, refused.filename or tempfile.gettempdir())
    for kind, name in _KINDS:
        if isinstance(error, kind):
            return name, str(error)
    first_line = next(iter(str(error).splitlines()), "")
    return "internal", f"The runner met an error of its own: {type(error).__name__}: {first_line}"
