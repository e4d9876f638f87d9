"""The Parquet files of a data set, by split.

They lie in the set's folder or in its `data/`, each named by its split (`train-00000-of-00002.parquet`) or in a folder
that is (`train/0000.parquet`); `split_names` says how. Where no name says a split, all files are training files.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from dpk_core.catalogue.content import DataFile, file_state
from dpk_core.catalogue.split_names import EXPECTED, by_split, split_words
from dpk_core.display import listed, shown
from dpk_core.errors import DataFault

ENDING = ".parquet"


@dataclass(frozen=True, slots=True)
class Shards:
    """`files` by split, in the order of names. `notes`: files that belong to no split."""

    files: dict[str, tuple[DataFile, ...]]
    notes: tuple[str, ...]


def has_shards(folder: Path) -> bool:
    """Whether a folder is a Parquet data set, by listing alone. Raises OSError."""
    return any(_names(folder).values())


def list_shards(folder: Path) -> Shards:
    """The files of each split that is there. Raises DataFault where there is none for training."""
    try:
        found = _names(folder)
        if not any(found.values()):
            raise DataFault(f"{folder.name} holds no Parquet files; it must hold {folder.name}/train*{ENDING}.")
        named = by_split(folder.name, found) or {"train": list(found)}
        files = {split: _files(folder, [name for key in keys for name in found[key]]) for split, keys in named.items()}
    except OSError as error:
        raise DataFault(f"{folder.name}: {error.filename} cannot be read: {error.strerror}.") from error
    if "train" not in files:
        splits = " and ".join(files)
        raise DataFault(f"{folder.name} holds Parquet files for {splits}, but none for training ({EXPECTED}).")
    rest = sorted({name for names in found.values() for name in names}.difference(*map(_names_of, files.values())))
    notes = (shown(f"Left out: Parquet files that belong to no split ({listed(rest)})."),) if rest else ()
    return Shards(files, notes)


def _names(folder: Path) -> dict[str, list[str]]:
    """Paths of the Parquet files by what names their split: their folder where that does, else themselves."""
    for inside in ("data/", ""):
        if (folder / inside).is_dir():
            found: dict[str, list[str]] = {}
            with os.scandir(folder / inside) as entries:
                for entry in entries:
                    if _is_shard(entry.name):
                        found[entry.name.removesuffix(ENDING)] = [f"{inside}{entry.name}"]
                    elif split_words(entry.name) and entry.is_dir():
                        shards = [f"{inside}{entry.name}/{name}" for name in os.listdir(entry.path) if _is_shard(name)]
                        if shards:
                            found[entry.name] = found.get(entry.name, []) + shards
            if found:
                return found
    return {}


def _is_shard(name: str) -> bool:
    return name.endswith(ENDING) and name[0] != "."


def _files(folder: Path, names: list[str]) -> tuple[DataFile, ...]:
    return tuple(file_state(folder, name) for name in sorted(names))


def _names_of(files: tuple[DataFile, ...]) -> list[str]:
    return [file.name for file in files]
