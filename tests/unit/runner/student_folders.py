"""Folders as `dpk export` writes them."""

from __future__ import annotations

import json
from pathlib import Path

import safetensors.torch
from torch import nn

from dpk_core.catalogue.datasets import DIGITS

MEAN, DEVIATION = 0.3, 0.4


def write_folder(folder: Path, network: nn.Module, architecture: str, **config: object) -> Path:
    """A student of grey 8x8 pictures in ten classes; `config` in place of what fits `digits`."""
    folder.mkdir(parents=True, exist_ok=True)
    safetensors.torch.save_file(network.state_dict(), folder / "model.safetensors")
    said = {
        "architecture": architecture, "num_classes": 10, "input_size": [1, 8, 8], "mean": [MEAN], "std": [DEVIATION],
        "data_fingerprint": DIGITS.fingerprint, **config,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(said))
    return folder
