"""What went wrong, in one sentence for a person and one word for the worker."""

from __future__ import annotations

import re
import tempfile

import torch
from torch.linalg import LinAlgError  # type: ignore[attr-defined]  # documented, but not listed

from dpk_core import disk
from dpk_core.errors import (
    ArtifactFault,
    DataFault,
    DiskFault,
    InvalidRequest,
    MissingHere,
    TrainingDiverged,
    first_line,
)
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

_REPEATING = (
    ArithmeticError, AssertionError, AttributeError, LookupError, NotImplementedError, TypeError, ValueError,
    LinAlgError,
)  # fmt: skip
"""What follows from the specification and the data alone, both of which are the same in every try."""

_SHAPES = re.compile(
    r"sizes? mismatch|size of tensor|sizes of tensors|shapes? .*(cannot|invalid|incompatible|mismatch)|must match|"
    r"Given groups=|Kernel size can't be greater|[Oo]utput size is too small|Expected \d+D|expected .* dimension|"
    r"not implemented for|does not require grad|loading state_dict",
)
"""How torch words what does not fit, where it raises a plain RuntimeError."""

_ONE_PICTURE = "Expected more than 1 value per channel"


def classify(error: Exception) -> tuple[FailureKind, str]:
    """The kind of failure and its sentence."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or _CPU_MEMORY in str(error):
        return "out_of_memory", "The device has too little memory for this run; take a smaller batch or model."
    if not isinstance(error, DiskFault) and (refused := disk.trouble(error)) is not None:
        return "disk_full", disk.sentence(refused, refused.filename or tempfile.gettempdir())
    for kind, name in _KINDS:
        if isinstance(error, kind):
            return name, str(error)
    if _ONE_PICTURE in str(error):
        return "invalid", "Batch normalisation has no statistics of one picture; take a larger budget.batch_size."
    raised = type(error).__name__
    words = f"{raised}: {first_line(error)}" if str(error).strip() else raised
    plain = type(error) is RuntimeError
    if isinstance(error, _REPEATING) or (plain and _SHAPES.search(str(error)) and "CUDA" not in str(error)):
        return "invalid", f"The run cannot be carried out, and another try would fail the same way: {words}"
    return "internal", f"The runner met an error of its own: {words}"
