"""Names of trained weights. Standard library only: clients import them without numpy.

| weights | what they are |
|---|---|
| `random` | drawn from the seed |
| `pretrained` | what the model's library publishes by default, from its hub cache |
| `<tag>` | what it publishes under this tag (`a2_in1k`, `IMAGENET1K_V1`) |
| `own` | what an uploaded model holds |
| `file:<name>` | `<name>`, a safetensors or PyTorch file under the weights root, of the model's own parameter names |

`model@weights` names both, `model` alone the model with random weights. Names as the
libraries print them (`names.py`) are read first.
"""

from __future__ import annotations

RANDOM, PRETRAINED, OWN, FILE = "random", "pretrained", "own", "file:"


def split_weights(name: str) -> tuple[str, str]:
    """Model and weights of `model[@weights]`."""
    model, _, weights = name.partition("@")
    return model, weights or RANDOM


def join_weights(model: str, weights: str) -> str:
    """The one name of a model with these weights."""
    return model if weights == RANDOM else f"{model}@{weights}"
