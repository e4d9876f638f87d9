"""Data sets of picture files, in class folders or in Parquet: one listing, one set of facts for card and loader."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dpk_core.catalogue.content import content_hash, remembered, stamp
from dpk_core.catalogue.folders import FolderListing, list_folder, survey_folder
from dpk_core.catalogue.parquet import ParquetListing, list_parquet, survey_parquet
from dpk_core.catalogue.splitting import Parts, check_every_class, deal
from dpk_core.errors import DataFault

READING_VERSION = 2
"""Part of the fingerprint of picture files. Raise it when a change decodes, resizes, crops or labels them otherwise."""

DECLARATION = "dataset.json"
"""May lie in a data set's folder and declare the working size: `{"side": 64}`."""

SIDES = range(8, 1025)

Listing = FolderListing | ParquetListing


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureFacts:
    """What is known of picture files without decoding them. `content`: scheme and digest, see `content`.

    `deep`: some pictures have 16 bits a pixel.
    """

    content: str
    channels: int
    side: int
    deep: bool


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


def picture_facts(listing: Listing) -> PictureFacts:
    """Facts of a listing, found out once per state of its files. Raises DataFault naming a broken picture."""
    declared = _declared_side(listing.folder)
    try:
        found = remembered("pictures", stamp(listing.folder, listing.all_files), lambda: _find_out(listing))
    except OSError as error:
        raise DataFault(f"{error.filename} cannot be read: {error.strerror}.") from error
    return PictureFacts(
        content=found["content"], channels=found["channels"], side=declared or found["side"], deep=found["deep"]
    )


def picture_parts(listing: Listing) -> Parts:
    """The three splits of a listing. Raises DataFault when there are too few pictures for them."""
    return deal(listing.folder.name, listing.labels)


def _find_out(listing: Listing) -> dict[str, Any]:
    seen = survey_folder(listing) if isinstance(listing, FolderListing) else survey_parquet(listing)
    return {"content": content_hash(listing.folder, listing.all_files), **seen.as_json()}


def _declared_side(folder: Path) -> int | None:
    path = folder / DECLARATION
    if not path.is_file():
        return None
    where = f"{folder.name}/{DECLARATION}"
    try:
        declared = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise DataFault(f"{where} cannot be read as JSON.") from error
    side = declared.get("side") if isinstance(declared, dict) and set(declared) == {"side"} else None
    if not isinstance(side, int) or side not in SIDES:
        raise DataFault(f'{where} must be like {{"side": 64}}, with a side of {SIDES[0]} … {SIDES[-1]} pixels.')
    return side
