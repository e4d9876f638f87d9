"""Data sets of picture files, in class folders or in Parquet: one listing, one set of facts for check and loader."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from dpk_core.catalogue.content import content_hash, is_large, remembered, state_key
from dpk_core.catalogue.copies import Copies, count_copies, picture_ids, sampled_copies
from dpk_core.catalogue.folders import list_folder, survey_folder
from dpk_core.catalogue.listing import FolderListing
from dpk_core.catalogue.parquet import ParquetListing, encoded_pictures, list_parquet, survey_parquet
from dpk_core.catalogue.reading import Declaration, Fit, ReadingRule, read_declaration
from dpk_core.catalogue.splitting import Parts, check_every_class, split_parts
from dpk_core.catalogue.survey import HeaderSummary
from dpk_core.codec import from_json, to_json
from dpk_core.errors import DataFault

Listing = FolderListing | ParquetListing


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureFacts:
    """What is known of picture files without decoding them. `content`: scheme and digest, see `content`.

    `side`: the working side that suits their sizes, by how they are fitted. `copies`: None where nothing was compared.
    """

    content: str
    survey: HeaderSummary
    whole_side: int
    middle_side: int
    copies: Copies | None


def is_picture_data(name: str) -> bool:
    """Whether a data set of this name is made of picture files."""
    return name.partition("/")[0] in ("folder", "imagenet", "parquet")


def list_pictures(name: str, data_root: Path) -> Listing:
    """The files and labels of a data set. Raises DataFault with a sentence naming what is wrong."""
    kind, _, stem = name.partition("/")
    folder = data_root / stem
    listing = list_parquet(folder) if kind == "parquet" else list_folder(folder, kind)
    check_every_class(stem, listing.labels["train"], listing.classes)
    return listing


def picture_parts(listing: Listing) -> Parts:
    """The three splits of a listing. Raises DataFault when there are too few pictures for them."""
    return split_parts(listing.folder.name, listing.labels)


def picture_facts(listing: Listing, parts: Parts) -> PictureFacts:
    """Facts of a listing, found out once per state of its files. Raises DataFault naming broken pictures."""
    # Here, as Pillow is loaded only where pictures are looked at.
    from dpk_core.catalogue.headers import working_side

    try:
        found = remembered(
            "pictures", state_key(listing.folder, listing.all_files), lambda: _as_json(_find_out(listing, parts))
        )
    except OSError as error:
        raise DataFault(f"{error.filename} cannot be read: {error.strerror}.") from error
    seen = from_json(HeaderSummary, found["survey"])
    return PictureFacts(
        content=found["content"],
        survey=seen,
        whole_side=working_side(seen, "whole"),
        middle_side=working_side(seen, "middle"),
        copies=None if found["copies"] is None else from_json(Copies, found["copies"]),
    )


def reading_of(name: str, folder: Path, facts: PictureFacts) -> ReadingRule:
    """How the pictures of a data set are read: as it declares, else by the rule for its kind and sizes.

    Raises DataFault when the declaration cannot be understood.
    """
    declared: Declaration = read_declaration(folder)
    usual: Fit = "middle" if name.startswith("imagenet/") else "whole"
    fit = declared.fit or usual
    own_side = facts.whole_side if fit == "whole" else facts.middle_side
    return ReadingRule(
        channels=1 if facts.survey.grey == facts.survey.pictures else 3,
        side=declared.side or own_side,
        fit=fit,
        background=declared.background or "white",
    )


@dataclass(frozen=True, slots=True)
class _Found:
    content: str
    survey: HeaderSummary
    copies: Copies | None


def _as_json(found: _Found) -> dict[str, object]:
    return dict(to_json(found))


def _find_out(listing: Listing, parts: Parts) -> _Found:
    if is_large(listing.all_files):
        return _sampled(listing, parts)
    from dpk_core.catalogue.headers import survey

    digests: dict[str, list[bytes]] = {split: [] for split in listing.files}
    seen = survey(_whole_pictures(listing, digests))
    ids = {split: picture_ids(found) for split, found in digests.items()}
    known: Mapping[str, bytes] = {}
    if isinstance(listing, FolderListing):
        names = (file.name for file in listing.pictures)
        known = dict(zip(names, (each for found in digests.values() for each in found), strict=True))
    content = content_hash(listing.folder, listing.all_files, known)
    return _Found(content, seen, count_copies(ids, listing.labels, parts, lambda *place: picture_name(listing, *place)))


def _sampled(listing: Listing, parts: Parts) -> _Found:
    content = _with_labels(content_hash(listing.folder, listing.all_files), listing)
    if isinstance(listing, FolderListing):
        return _Found(content, survey_folder(listing), sampled_copies(listing.folder, listing.files, parts))
    return _Found(content, survey_parquet(listing), None)


def _whole_pictures(listing: Listing, digests: Mapping[str, list[bytes]]) -> Iterator[tuple[str, IO[bytes]]]:
    """Every picture with its bytes; adds their SHA-256 to the `digests` of its split."""
    for split in listing.files:
        for name, content in encoded(listing, split):
            digests[split].append(hashlib.sha256(content).digest())
            yield name, io.BytesIO(content)


def encoded(listing: Listing, split: str) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of every picture of a split on disk, in order. Raises OSError and DataFault."""
    if isinstance(listing, ParquetListing):
        yield from encoded_pictures(listing, split)
    else:
        for file in listing.files[split]:
            yield f"{listing.folder.name}/{file.name}", (listing.folder / file.name).read_bytes()


def picture_name(listing: Listing, split: str, position: int) -> str:
    """What a picture is called, by its split on disk and its position there."""
    if isinstance(listing, FolderListing):
        return listing.files[split][position].name
    return f"row {position} of {split}"


def _with_labels(content: str, listing: Listing) -> str:
    """A hash of the content and of every picture's class: tables of labels are few files among many."""
    kind, _, digits = content.partition(":")
    whole = hashlib.sha256("\0".join((digits, *listing.classes)).encode(errors="surrogateescape"))
    for split in sorted(listing.labels):
        whole.update(b"\0%b\0" % split.encode())
        whole.update(listing.labels[split].astype("<i8").tobytes())
        if isinstance(listing, FolderListing):  # whose pictures are in the order of classes, rows in that of the file
            whole.update(b"\0".join(os.fsencode(file.name) for file in listing.files[split]))
    return f"{kind}:{whole.hexdigest()}"
