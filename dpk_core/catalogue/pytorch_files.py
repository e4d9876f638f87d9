"""PyTorch files (`.pth`, `.pt`, `.bin`, `.ckpt`) as safetensors files, made once by a child process. No torch here.

A pickle can run code when it is read. The child reads it with `torch.load(weights_only=True)`, which builds tensors and
plain values alone, after it has given away network, other processes, files, memory and time
(`dpk_core.exported.confinement`). What it leaves lies in the cache folder under the SHA-256 of the PyTorch file.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
from pathlib import Path

from dpk_core import confined
from dpk_core.catalogue.content import cache_folder, file_digest, file_state, remembered, state_key, whole_file

ENDINGS = (".pth", ".pt", ".bin", ".ckpt")
WRAPPERS = (
    "state_dict", "model", "model_state_dict", "net", "network", "model_ema", "state_dict_ema", "ema", "teacher",
)  # fmt: skip
"""Entries of a checkpoint that may hold a state dict; of several that fit a model alike, the first is taken. Their
tensors are named `<entry>/<name>`."""

SECONDS = 300.0
"""A child that takes longer is ended, and its file refused."""
CONVERT = (
    "python -c \"import torch, safetensors.torch as s; d = torch.load('old.pth', weights_only=True); "
    "s.save_file(d.get('state_dict', d), 'new.safetensors')\""
)

_room = threading.BoundedSemaphore(2)
"""Children side by side; each takes gigabytes at worst."""


def as_safetensors(path: Path) -> Path:
    """The tensors of a PyTorch file as a safetensors file in the cache folder.

    Raises OSError, and ValueError with the reason where it is refused: the end of a sentence about the file.
    """
    target = cache_folder() / f"pytorch-{digest(path)}.safetensors"
    if not target.exists():
        with _room, tempfile.TemporaryDirectory() as folder:
            _convert(path, Path(folder))
            with (Path(folder) / "kept.safetensors").open("rb") as kept, whole_file(target) as file:
                while block := kept.read(2**22):
                    file.write(block)
    return target


def digest(path: Path) -> str:
    """SHA-256 of a file, 64 hex digits; read again only when the file has changed. Raises OSError."""
    key = state_key(path.parent, [file_state(path.parent, path.name)])
    return str(remembered("pytorch-file", key, lambda: {"sha256": file_digest(path)})["sha256"])


def _convert(path: Path, folder: Path) -> None:
    arguments = [str(path.resolve()), str(folder / "kept.safetensors")]
    try:
        done = confined.run("dpk_core.catalogue.read_pytorch_file", arguments, folder, SECONDS)
    except subprocess.TimeoutExpired:
        raise ValueError(f"it was not read within {SECONDS:.0f} seconds") from None
    if b"No module named 'torch'" in done.stderr:
        raise ValueError(f"it is a PyTorch file, and this server has no torch to read it. Convert it once: {CONVERT}")
    if done.returncode != 0:
        raise ValueError("reading it as a PyTorch file ended the process, as of one that needs too much memory or time")
    answer = json.loads(done.stdout.splitlines()[-1])
    if answer["refused"] is not None:
        raise ValueError(answer["refused"])
