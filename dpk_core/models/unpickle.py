"""Reads a PyTorch file that may be hostile and leaves its tensors as safetensors; a process of its own.

    python -m dpk_core.catalogue.read_pytorch_file FILE TARGET

Its last line on standard output is JSON: `{"refused": reason or null}`.
"""

from __future__ import annotations

import argparse
import json
import pickle
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from numpy._core.multiarray import scalar
from torch import Tensor

from dpk_core.catalogue.pytorch_files import WRAPPERS
from dpk_core.errors import first_line
from dpk_core.exported.confinement import confine

MOST_DEPTH = 3
"""Dictionaries within each other that are looked into."""
PLAIN_VALUES: list[Any] = [
    argparse.Namespace,
    np.dtype,
    *{type(np.dtype(kind)) for kind in ("f8", "f4", "f2", "i8", "i4", "?")},
    *((scalar, f"numpy.{package}.multiarray.scalar") for package in ("core", "_core")),
]
"""What training scripts keep beside the weights: their arguments, and numbers of numpy (the best accuracy, mostly)."""
SAVE_AGAIN = "save the state dict alone: torch.save(model.state_dict(), …)"


def tensors_of(loaded: object, depth: int = 0) -> dict[str, Tensor]:
    """The state dict in what was loaded, or several, each name after that of its entry and a `/`."""
    if not isinstance(loaded, Mapping) or depth > MOST_DEPTH:
        return {}
    wrapped = {name: tensors_of(loaded[name], depth + 1) for name in WRAPPERS if name in loaded}
    if any(wrapped.values()):
        return {f"{entry}/{name}": tensor for entry, inner in wrapped.items() for name, tensor in inner.items()}
    return {str(name): each for name, each in loaded.items() if isinstance(each, Tensor)}


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of the file, each with memory of its own. Raises ValueError with the reason for a refusal."""
    try:
        with torch.serialization.safe_globals(PLAIN_VALUES):
            loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        unsafe = re.search(r"GLOBAL (\S+)", str(error))
        what = unsafe[1][:100] if unsafe else "more than tensors"
        message = f"it is a PyTorch file that holds {what}, which is not read, as it could run code; {SAVE_AGAIN}"
        raise ValueError(message) from None
    except (RuntimeError, EOFError, OSError, KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        raise ValueError(f"it cannot be read as a PyTorch file ({first_line(error)[:200]}); {SAVE_AGAIN}") from None
    found = tensors_of(loaded)
    if not found:
        keys = ", ".join(repr(str(key)[:40]) for key in list(loaded)[:5]) if isinstance(loaded, Mapping) else "none"
        raise ValueError(f"it is a PyTorch file without a state dict (entries: {keys}); {SAVE_AGAIN}")
    odd = next((name for name, each in found.items() if each.layout != torch.strided or each.is_quantized), None)
    if odd is not None:
        raise ValueError(f"its {odd[:100]!r} is sparse or quantised; {SAVE_AGAIN} of the dense model")
    return {name: each.detach().clone(memory_format=torch.contiguous_format) for name, each in found.items()}


def main(path: Path, target: Path) -> None:
    """Reads the file in confinement and writes the target."""
    confine(path.stat().st_size, target)
    refused = None
    try:
        target.write_bytes(safetensors.torch.save(read(path)))
    except ValueError as reason:
        refused = str(reason)
    except MemoryError:
        refused = "it needs more memory than reading is given"
    sys.stdout.write(f"\n{json.dumps({'refused': refused})}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
