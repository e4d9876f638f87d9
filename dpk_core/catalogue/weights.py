"""Trained weights by name: what can be known of them without building the model. No torch.

| weights | what they are |
|---|---|
| `random` | drawn from the seed |
| `pretrained` | what the model's library publishes, from its hub cache |
| `file:<name>` | `<name>`, a safetensors file under the weights root, of the model's own parameter names |

`model@weights` names both, `model` alone the model with random weights. What is known of each model's parameters comes
from `model_weights.json`, which `python -m dpk_core.models.weight_inventory` writes.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from dpk_core.catalogue.downloads import DOWNLOAD, download_allowed
from dpk_core.catalogue.npz import file_digest
from dpk_core.catalogue.tensors import names_digest, tensor_shapes
from dpk_core.errors import InvalidRequest
from dpk_core.spec import Start

RANDOM, PRETRAINED, FILE = "random", "pretrained", "file:"

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """`name`: timm's model and tag (`resnet18.a1_in1k`), torchvision's file (`resnet18-f37072fd.pth`).

    `classes`: those of its head, 0 where it comes without one. `hub`: the Hugging Face repository that keeps the file;
    None: a file among torch's own.
    """

    name: str
    classes: int
    hub: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsCard:
    """A model's parameters as far as weights must fit them.

    `head`: the parameters whose first dimension is the classes, with their other dimensions. `names`: `names_digest` of
    all parameters and buffers; None where they depend on the pictures. `library`: with the version `published` is of.
    """

    head: Mapping[str, Shape]
    names: str | None
    published: Published | None
    library: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundWeights:
    """Weights that are there, and the number of classes they were made for (0: they come without a head)."""

    start: Start
    classes: int


def split_weights(name: str) -> tuple[str, str]:
    """Model and weights of `model[@weights]`."""
    model, _, weights = name.partition("@")
    return model, weights or RANDOM


def join_weights(model: str, weights: str) -> str:
    """The one name of a model with these weights."""
    return model if weights == RANDOM else f"{model}@{weights}"


def weights_card(model: str, field: str) -> WeightsCard:
    """What weights of a known model must fit. Raises InvalidRequest on `field` where the list does not say."""
    try:
        return _cards()[model]
    except KeyError:
        raise InvalidRequest(field, f"It is not known which weights {model} takes.", RANDOM) from None


def find_weights(model: str, weights: str, root: Path | None, field: str) -> FoundWeights | None:
    """The weights of a known model; None: random ones.

    Raises InvalidRequest on `field` for a word that names none, for a file that is missing, outside the root, not
    safetensors or of another model, and for published weights that there are none of or that cannot be had.
    """
    if weights == RANDOM:
        return None
    if weights == PRETRAINED:
        return _find_published(model, field)
    if weights.startswith(FILE):
        return _find_file(model, weights.removeprefix(FILE), root, field)
    raise InvalidRequest(field, f"Weights are random, pretrained or file:<name>, not {weights!r}.", RANDOM)


def weights_file(name: str, root: Path | None, field: str) -> Path:
    """The file `name` under the weights root. Raises InvalidRequest on `field` when there is none."""
    if root is None:
        raise InvalidRequest(field, f"The weights {name} cannot be looked for: set DPK_WEIGHTS_ROOT to their folder.")
    try:
        path = (root / name).resolve()
        present = path.is_file()
    except (OSError, ValueError):  # a name that no file can have, or a folder that may not be looked into
        path, present = root.resolve(), False
    if not path.is_relative_to(root.resolve()):
        raise InvalidRequest(field, f"The weights {name} lie outside the weights root.")
    if not present:
        raise InvalidRequest(field, f"There are no weights {name} under the weights root.")
    return path


def file_identity(path: Path) -> str:
    """`sha256:` of the file's content; worked out again only when the file has changed."""
    status = path.stat()
    return _identity(path, status.st_size, status.st_mtime_ns)


def check_obtainable(model: str, published: Published, field: str) -> None:
    """Raises InvalidRequest on `field` where published weights are not in the cache and must not be fetched."""
    if not (download_allowed() or is_cached(published)):
        raise InvalidRequest(
            field,
            f"The published weights of {model} ({published.name}) are not in the hub cache here; put them there, set "
            f"{DOWNLOAD}=1 where the network allows to fetch them, or take random weights or a file's.",
        )


def is_cached(published: Published) -> bool:
    """Whether the libraries find these weights on this machine."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    if published.hub is None:
        home = Path(os.environ.get("TORCH_HOME") or caches / "torch")
        return (home / "hub" / "checkpoints" / published.name).is_file()
    home = Path(os.environ.get("HF_HOME") or caches / "huggingface")
    kept = Path(os.environ.get("HF_HUB_CACHE") or home / "hub") / f"models--{published.hub.replace('/', '--')}"
    return any(path.suffix in (".safetensors", ".bin", ".pth") for path in kept.glob("snapshots/*/*"))


def _find_published(model: str, field: str) -> FoundWeights:
    card = weights_card(model, field)
    if card.published is None:
        raise InvalidRequest(field, f"There are no published weights of {model} to start from.", RANDOM)
    check_obtainable(model, card.published, field)
    start = Start(source="pretrained", name=card.published.name, identity=card.library)
    return FoundWeights(start=start, classes=card.published.classes)


def _find_file(model: str, name: str, root: Path | None, field: str) -> FoundWeights:
    path = weights_file(name, root, field)
    try:
        shapes = tensor_shapes(path)
        identity = file_identity(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InvalidRequest(field, f"The weights {name} cannot be read as a safetensors file: {reason}.") from None
    classes = _classes(model, name, shapes, field)
    return FoundWeights(start=Start(source="file", name=name, identity=identity), classes=classes)


def _classes(model: str, name: str, shapes: Mapping[str, Shape], field: str) -> int:
    """The classes of the file's head. What is not seen here, the widths inside, the runner sees when it loads them."""
    card = weights_card(model, field)
    found = {key: shapes.get(key, ()) for key in card.head}
    classes = {shape[0] for shape in found.values() if shape}
    fits = len(classes) == 1 and all(shape[1:] == card.head[key] and shape for key, shape in found.items())
    if not fits or (card.names is not None and names_digest(shapes) != card.names):
        raise InvalidRequest(field, f"The weights {name} are not those of {model}: its parameters are others.")
    return classes.pop()


@functools.lru_cache(maxsize=64)
def _identity(path: Path, size: int, changed_ns: int) -> str:  # noqa: ARG001  (both only key the cache)
    return f"sha256:{file_digest(path)}"


@functools.cache
def _cards() -> dict[str, WeightsCard]:
    listed = json.loads(resources.files(__package__).joinpath("model_weights.json").read_text())
    return {
        name: WeightsCard(
            head={key: tuple(shape) for key, shape in entry["head"].items()},
            names=entry.get("names"),
            published=Published(**entry["published"]) if "published" in entry else None,
            library=_library(name, listed),
        )
        for name, entry in listed["models"].items()
    }


def _library(model: str, listed: Mapping[str, str]) -> str:
    family = model.partition("/")[0]
    return f"{family} {listed[family]}" if family in listed else ""
