"""Data sets of picture files: decoded into memory once when they are small, read while training when they are large."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import torch

from dpk_core.catalogue.content import remembered, state_key
from dpk_core.catalogue.datasets import IN_MEMORY_BYTES, DatasetCard, picture_fingerprint
from dpk_core.catalogue.headers import check_header
from dpk_core.catalogue.listing import FolderListing
from dpk_core.catalogue.parquet import encoded_pictures
from dpk_core.catalogue.pictures import Listing, list_pictures, picture_facts, picture_parts, reading_of
from dpk_core.catalogue.splitting import SplitPositions
from dpk_core.data.encoded import Encoded, Files, Rows, lay_out
from dpk_core.data.split import ImageData, PictureSplit, check_fingerprint, image_data
from dpk_core.data.streamed import StreamedSplit, each_on_threads

ENCODED_BYTES = 2**30
"""Parquet files of a split beyond this are laid out on disk instead of held in memory."""

SAMPLED_PICTURES = 1024
"""Training pictures, evenly spaced over the classes, that the statistics of large data are taken from."""


def load_pictures(card: DatasetCard, data_root: Path, device: torch.device) -> ImageData:
    """Loads what the card promises. Raises DataFault when the files are other ones, or one of them is broken."""
    listing = list_pictures(card.name, data_root)
    parts = picture_parts(listing)
    facts = picture_facts(listing, parts)
    check_fingerprint(card, picture_fingerprint(facts.content, reading_of(card.name, listing.folder, facts)))
    large = card.decoded_bytes > IN_MEMORY_BYTES
    if large and isinstance(listing, FolderListing):
        remembered("checked", state_key(listing.folder, listing.all_files), lambda: _check_all(listing))

    @functools.cache
    def encoded(origin: str) -> Encoded:
        return _encoded(listing, origin, large)

    def split(part: SplitPositions) -> PictureSplit:
        labels = torch.from_numpy(listing.labels[part.origin][part.positions]).to(device)
        found = StreamedSplit(encoded(part.origin), part.positions, labels, card.rule)
        return found if large else found.decoded()

    train, validation = split(parts.train), split(parts.validation)
    if not large:
        # A broken test picture must not wait for the end of a long training to be found.
        remembered("decoded", state_key(listing.folder, listing.all_files), lambda: {"test": len(split(parts.test))})
    most = min(len(train), SAMPLED_PICTURES) if large else len(train)
    positions = torch.from_numpy(np.linspace(0, len(train) - 1, most).astype(np.int64))
    sample_BCHW = train.start_reading(positions)()
    return image_data(
        card, train=train, validation=validation, read_test=lambda: split(parts.test), sample_BCHW=sample_BCHW
    )


def _encoded(listing: Listing, origin: str, large: bool) -> Encoded:
    if isinstance(listing, FolderListing):
        return Files(listing.folder, listing.files[origin])
    pictures = encoded_pictures(listing, origin)
    # Photographs may take far more memory encoded, at their own size, than decoded at the working size.
    if not large and sum(file.size for file in listing.files[origin]) <= ENCODED_BYTES:
        return Rows(tuple(pictures))
    key = state_key(listing.folder, listing.files[origin])
    return lay_out(listing.folder, origin, key, pictures)


def _check_all(listing: FolderListing) -> dict[str, int]:
    """Looks at the header of every picture: the card has seen only a sample of those of large data."""
    files = listing.pictures
    names = [file.name for file in files]
    each_on_threads(lambda name: check_header(f"{listing.folder.name}/{name}", listing.folder / name), names)
    return {"pictures": len(files)}
