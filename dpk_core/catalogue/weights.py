"""What can be known of trained weights without building the model. No torch. Their names: `weight_names`; what is
known of each model's parameters: `parameters`; weights of detectors: `detection/weights`.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from dpk_core.catalogue.content import DataFile, file_state, remembered, state_key
from dpk_core.catalogue.detection.detectors import is_detector, kind_and_backbone
from dpk_core.catalogue.detection.plugged import is_plugged
from dpk_core.catalogue.detection.weights import fit, ways_to_build, without_background
from dpk_core.catalogue.downloads import DOWNLOAD, download_allowed
from dpk_core.catalogue.fitting import MadeFor, made_for
from dpk_core.catalogue.own_models import own_model
from dpk_core.catalogue.parameters import (
    Parameter,
    Parameters,
    Published,
    library,
    model_parameters,
)
from dpk_core.catalogue.published import COCO_TAG, coco_classes, published_library, published_tags
from dpk_core.catalogue.pytorch_files import ENDINGS, as_safetensors, digest
from dpk_core.catalogue.side_cars import NOTHING_STATED, Stated, stated_beside
from dpk_core.catalogue.tensors import FLOATING, is_pytorch_file, read_content, read_header
from dpk_core.catalogue.weight_names import FILE, OWN, PRETRAINED, RANDOM
from dpk_core.detection_settings import COCO, DetectionSettings, DetectorSettings
from dpk_core.errors import InvalidRequest
from dpk_core.nearest import nearest
from dpk_core.spec import Start


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundWeights:
    """Weights that are there, what they were made for (0 classes: they come without a head), and what is stated of
    them. `detector`: how a detector must be built for them; None: they do not say."""

    start: Start
    made_for: MadeFor
    stated: Stated = NOTHING_STATED
    detector: DetectorSettings | None = None


def word_for(model: str, start: Start | None) -> str:
    """The word by which these weights of a model are named; None: random ones. Of what is no longer published,
    `pretrained`."""
    if start is None:
        return RANDOM
    if start.source == "file":
        return FILE + start.name
    if start.source == "own":
        return OWN
    tags: dict[str, Published] = {}
    with suppress(InvalidRequest):  # a model of an earlier version of the library
        tags = published_tags(model, "weights")
    tag = next((tag for tag, each in tags.items() if each.name == start.name), None)
    return PRETRAINED if tag is None or tag == next(iter(tags)) else tag


def stated_license(model: str, start: Start, root: Path | None) -> str | None:
    """The licence that the library, or somebody beside the file, states of these weights. Raises InvalidRequest where
    the file or the model is not there any more."""
    if start.source == "pretrained":
        return next(
            (each.license for each in published_tags(model, "weights").values() if each.name == start.name), None
        )
    if start.source == "file":
        return stated_beside(weights_file(start.name, root, "weights"), start.name, "weights").license
    return None


def find_weights(
    model: str, weights: str, root: Path | None, field: str, detection: DetectionSettings | None = None
) -> FoundWeights | None:
    """The weights of a known model; None: random ones. `detection`: how the recipe builds detectors.

    Raises InvalidRequest on `field` for a word that names none, for a file that is missing, outside the root, of
    another kind, of another model or with numbers that are not finite, for a side-car that cannot be understood, and
    for published weights that there are none of or that cannot be had.
    """
    if weights == RANDOM:
        return None
    if is_plugged(model):
        message = f"{model} begins with the weights that its package gives it; leave {weights!r} out."
        raise InvalidRequest(field, message, RANDOM)
    if is_detector(model):
        settings = (detection or DetectionSettings()).of(kind_and_backbone(model, field)[0])
        if weights.startswith(FILE):
            return _find_detector_file(model, weights.removeprefix(FILE), root, settings, field)
        return _find_published(model, weights, field)
    if weights.startswith(FILE):
        return _find_file(model, weights.removeprefix(FILE), root, field)
    if weights == OWN and (own := own_model(model)) is not None and own.source == "upload":
        made = made_for(model, model_parameters(model), model, field)
        return FoundWeights(start=Start(source="own", name=model, identity=own.identity), made_for=made)
    return _find_published(model, weights, field)


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


def readable_file(path: Path, name: str, field: str) -> Path:
    """The weights file as safetensors: itself, or what was made of a PyTorch file.

    Raises InvalidRequest on `field` where it is refused or cannot be read.
    """
    with _readable(name, field):
        pytorch = path.suffix.lower() in ENDINGS and is_pytorch_file(path)
        return as_safetensors(path) if pytorch else path


def file_tensors(path: Path, name: str, field: str) -> Parameters:
    """What a weights file says it holds. Raises InvalidRequest on `field` where it is no such file."""
    readable = readable_file(path, name, field)
    with _readable(name, field):
        header = read_header(readable)
    return {key: Parameter(entry.shape, entry.dtype in FLOATING) for key, entry in header.items()}


def file_identity(path: Path, name: str, field: str) -> str:
    """`sha256:` of the file's content; read again only when the file has changed.

    Raises InvalidRequest on `field` where it cannot be read or holds numbers that are not finite.
    """
    readable = readable_file(path, name, field)
    with _readable(name, field):
        content = _content(path, readable, file_state(path.parent, path.name))
    if content["not_finite"] is not None:
        message = f"The weights {name} hold numbers that are not finite ({content['not_finite']})"
        raise InvalidRequest(field, f"{message}; take an earlier state of that training.")
    return f"sha256:{content['sha256']}"


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


def _find_published(model: str, weights: str, field: str) -> FoundWeights:
    tags = published_tags(model, field)
    if weights == PRETRAINED and not tags:
        raise InvalidRequest(field, f"There are no published weights of {model} to start from.", RANDOM)
    tag = next(iter(tags)) if weights == PRETRAINED else weights
    if tag not in tags:
        there = f", or of those published for {model}: {', '.join(tags)}" if tags else ""
        message = f"Weights are random, pretrained or file:<name>{there}; not {weights!r}."
        raise InvalidRequest(field, message, nearest(weights, (RANDOM, PRETRAINED, *tags)))
    check_obtainable(model, tags[tag], field)
    publisher = published_library(model, tag, field) if is_detector(model) else library(model)
    start = Start(source="pretrained", name=tags[tag].name, identity=publisher)
    made = MadeFor(classes=tags[tag].classes, side=tags[tag].side)
    is_whole = is_detector(model) and tag == COCO_TAG
    stated = Stated(
        source=f"{publisher}'s configuration", preprocessing=tags[tag].preprocessing,
        classes=coco_classes(model) if is_whole else None, license=tags[tag].license,
    )  # fmt: skip
    built = COCO[kind_and_backbone(model, field)[0]] if is_whole else None
    return FoundWeights(start=start, made_for=made, stated=stated, detector=built)


def _find_file(model: str, name: str, root: Path | None, field: str) -> FoundWeights:
    path = weights_file(name, root, field)
    made = made_for(model, file_tensors(path, name, field), name, field)
    start = Start(source="file", name=name, identity=file_identity(path, name, field))
    return FoundWeights(start=start, made_for=made, stated=stated_beside(path, name, field))


def _find_detector_file(
    model: str, name: str, root: Path | None, settings: DetectorSettings, field: str
) -> FoundWeights:
    path = weights_file(name, root, field)
    stated = stated_beside(path, name, field)
    ways = ways_to_build(kind_and_backbone(model, field)[0], settings, stated.detector)
    found = fit(model, file_tensors(path, name, field), ways, name, field)
    start = Start(source="file", name=name, identity=file_identity(path, name, field))
    classes = None if stated.classes is None else without_background(stated.classes, found.classes)
    made = MadeFor(classes=found.classes, prefix=found.prefix)
    return FoundWeights(
        start=start, made_for=made, stated=replace(stated, classes=classes), detector=found.settings
    )  # fmt: skip


@contextmanager
def _readable(name: str, field: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        message = f"The weights {name} cannot be read: {reason}."
        raise InvalidRequest(field, message) from None


@functools.lru_cache(maxsize=64)
def _content(path: Path, readable: Path, file: DataFile) -> dict[str, Any]:
    """What `read_content` says, kept between processes too: a large file takes seconds to read."""
    return remembered("weights", state_key(path.parent, [file]), lambda: _read_content(path, readable))


def _read_content(path: Path, readable: Path) -> dict[str, Any]:
    content = asdict(read_content(readable))
    return content if readable == path else {**content, "sha256": digest(path)}
