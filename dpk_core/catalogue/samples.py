"""A few training pictures as networks see them, as data URIs for a page; decoded once per fingerprint."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dpk_core.catalogue.content import remembered
from dpk_core.catalogue.listing import FolderListing
from dpk_core.catalogue.pictures import Listing, encoded, picture_name
from dpk_core.catalogue.reading import ReadingRule
from dpk_core.catalogue.splitting import SplitPositions
from dpk_core.codec import from_json, to_json
from dpk_core.display import shown
from dpk_core.errors import DataFault

if TYPE_CHECKING:
    from PIL import Image

SAMPLES = 12

LARGEST = 128
"""Side in pixels beyond which a sample is made smaller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A training picture. `picture`: a data URI, None where it cannot be decoded."""

    name: str
    label: str
    picture: str | None


@dataclass(frozen=True, slots=True)
class _Samples:
    samples: tuple[Sample, ...]


def remembered_samples(fingerprint: str, decode: Callable[[], tuple[Sample, ...]]) -> tuple[Sample, ...]:
    """The samples of the data with this fingerprint, which says how it is read too. Raises what `decode` raises."""
    key = hashlib.sha256(fingerprint.encode()).hexdigest()
    return from_json(_Samples, remembered("samples", key, lambda: dict(to_json(_Samples(decode()))))).samples


def sample_arrays(
    pictures: NDArray[np.uint8], labels: NDArray[np.int64], train: SplitPositions, classes: tuple[str, ...]
) -> tuple[Sample, ...]:
    """Of an array of pictures, grey or in colour."""
    from PIL import Image

    return tuple(
        Sample(
            name=f"x_train[{position}]", label=shown(classes[labels[position]]),
            picture=_data_uri(Image.fromarray(pictures[position].squeeze())),
        )
        for position in _spread(train, labels)
    )  # fmt: skip


def _spread(train: SplitPositions, labels: NDArray[np.int64]) -> list[int]:
    """Positions evenly spaced over the training pictures in the order of their classes."""
    ordered = train.positions[np.argsort(labels[train.positions], kind="stable")]
    most = min(SAMPLES, len(ordered))
    return [int(ordered[place]) for place in ((np.arange(most) + 0.5) * len(ordered) / most).astype(np.int64)]


def sample_files(listing: Listing, train: SplitPositions, rule: ReadingRule) -> tuple[Sample, ...]:
    """Of a listing; its Parquet files are read up to the last sample. Raises DataFault and OSError."""
    labels = listing.labels[train.origin]
    wanted = _spread(train, labels)
    return tuple(
        Sample(
            name=shown(picture_name(listing, train.origin, position)),
            label=shown(listing.classes[labels[position]]),
            picture=_as_seen(content, rule),
        )
        for position, content in _contents(listing, train.origin, wanted).items()
    )


def _contents(listing: Listing, split: str, positions: list[int]) -> dict[int, bytes]:
    if isinstance(listing, FolderListing):
        return {place: (listing.folder / listing.files[split][place].name).read_bytes() for place in positions}
    found: dict[int, bytes] = {}
    for place, (_, content) in enumerate(encoded(listing, split)):
        if place in positions:
            found[place] = content
        if place == max(positions):
            break
    return {place: found[place] for place in positions}


def _as_seen(content: bytes, rule: ReadingRule) -> str | None:
    # Here, as Pillow is loaded only where pictures are looked at.
    from dpk_core.catalogue.headers import BROKEN, open_picture
    from dpk_core.catalogue.pixels import at_rest, decoded

    try:
        with open_picture("", io.BytesIO(content)) as picture:
            return _data_uri(at_rest(decoded(picture, rule, reduced=True), rule))
    except (*BROKEN, DataFault):
        return None


def _data_uri(picture: Image.Image) -> str:
    if picture.width > LARGEST:
        picture = picture.resize((LARGEST, LARGEST))
    stream = io.BytesIO()
    kind = "png" if picture.width <= LARGEST // 2 else "jpeg"
    picture.save(stream, kind)
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode()}"
