"""Pictures whose files hold the same bytes: in two splits, in one split, or under two classes.

Of small data every picture is compared with every other by the first 8 bytes of its SHA-256. Of large class folders a
sample of validation and test pictures is compared with the training pictures of the same length, by the first
`HEAD` bytes too. Of other large data nothing is compared.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dpk_core.catalogue.content import DataFile
from dpk_core.catalogue.splits import SPLIT_SEED
from dpk_core.catalogue.splitting import Parts, SplitPositions
from dpk_core.display import shown

SAMPLED = 500
"""Validation pictures, and test pictures, that are compared in large data."""

MOST_CANDIDATES = 20_000
"""Training pictures of the same lengths beyond which large data is not compared: files without compression, say."""

HEAD = 2**16

Ids = NDArray[np.uint64]
"""The first 8 bytes of the content's SHA-256, by position in a split."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """How many of the `validation_pictures` and `test_pictures` that were compared are copies.

    `validation`: validation pictures that are copies of training pictures, `test`: test pictures that are copies of
    training or validation pictures. `train`: training pictures that another training picture equals. `two_classes`:
    pictures of any split whose content also lies under another class. These two are None where only a sample was
    compared. `example`: a validation or test picture and the one it is a copy of.
    """

    validation_pictures: int
    validation: int
    test_pictures: int
    test: int
    train: int | None
    two_classes: int | None
    example: tuple[str, ...] = ()


def picture_ids(digests: Iterable[bytes]) -> Ids:
    """Of SHA-256 digests."""
    return np.frombuffer(b"".join(digest[:8] for digest in digests), np.uint64)


def count_copies(
    ids: Mapping[str, Ids], labels: Mapping[str, NDArray[np.int64]], parts: Parts, name: Callable[[str, int], str]
) -> Copies:
    """Copies among all pictures; `name` gives a picture's by its split on disk and its position there."""
    train, validation, test = (ids[part.origin][part.positions] for part in (parts.train, parts.validation, parts.test))
    known = np.concatenate([train, validation])
    in_train, in_known = np.isin(validation, train), np.isin(test, known)
    example: tuple[str, ...] = ()
    for part, copied, others in (
        (parts.validation, in_train, (parts.train,)),
        (parts.test, in_known, (parts.train, parts.validation)),
    ):
        if copied.any() and not example:
            example = _example(part, int(copied.argmax()), others, ids, name)
    return Copies(
        validation_pictures=len(validation), validation=int(in_train.sum()),
        test_pictures=len(test), test=int(in_known.sum()),
        train=_repeated(train), two_classes=_under_two(ids, labels), example=example,
    )  # fmt: skip


def sampled_copies(folder: Path, files: Mapping[str, tuple[DataFile, ...]], parts: Parts) -> Copies | None:
    """Copies of training pictures among a sample of the others, for large class folders. Raises OSError.

    None where too many training pictures are as long as those of the sample.
    """
    chance = np.random.RandomState(SPLIT_SEED)
    lengths = {split: np.array([file.size for file in members]) for split, members in files.items()}
    chosen = {
        split: np.sort(chance.permutation(part.positions)[:SAMPLED])
        for split, part in (("validation", parts.validation), ("test", parts.test))
    }
    origins = {"validation": parts.validation.origin, "test": parts.test.origin}
    wanted = np.concatenate([lengths[origins[split]][positions] for split, positions in chosen.items()])
    train = parts.train.positions[np.isin(lengths[parts.train.origin][parts.train.positions], wanted)]
    if len(train) > MOST_CANDIDATES:
        return None
    known = {_head(folder, files[parts.train.origin][place]): int(place) for place in train}
    copied = dict.fromkeys(chosen, 0)
    example: tuple[str, ...] = ()
    for split, positions in chosen.items():
        for place in positions:
            file = files[origins[split]][place]
            if (found := known.get(_head(folder, file))) is not None:
                copied[split] += 1
                example = example or (shown(file.name), shown(files[parts.train.origin][found].name))
    return Copies(
        validation_pictures=len(chosen["validation"]), validation=copied["validation"],
        test_pictures=len(chosen["test"]), test=copied["test"], train=None, two_classes=None, example=example,
    )  # fmt: skip


def _head(folder: Path, file: DataFile) -> tuple[int, bytes]:
    with (folder / file.name).open("rb") as stream:
        return file.size, hashlib.sha256(stream.read(HEAD)).digest()


def _repeated(ids: Ids) -> int:
    """Pictures that are not the only one with their content."""
    _, counts = np.unique(ids, return_counts=True)
    return int(counts[counts > 1].sum())


def _under_two(ids: Mapping[str, Ids], labels: Mapping[str, NDArray[np.int64]]) -> int:
    every = np.concatenate(list(ids.values()))
    classes = np.concatenate([labels[split] for split in ids])
    pairs = np.unique(np.stack([every, classes.astype(np.uint64)]), axis=1)[0]
    found, counts = np.unique(pairs, return_counts=True)
    return int(np.isin(every, found[counts > 1]).sum())


def _example(
    part: SplitPositions,
    place: int,
    others: tuple[SplitPositions, ...],
    ids: Mapping[str, Ids],
    name: Callable[[str, int], str],
) -> tuple[str, ...]:
    position = int(part.positions[place])
    wanted = ids[part.origin][position]
    for other in others:
        same = np.flatnonzero(ids[other.origin][other.positions] == wanted)
        if len(same):
            return shown(name(part.origin, position)), shown(name(other.origin, int(other.positions[same[0]])))
    raise AssertionError("a copy has an original")
