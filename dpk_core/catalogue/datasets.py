"""Data sets by name: their checks, and the cards that pre-flight and training work with. No torch.

| name | what it is, under the data root |
|---|---|
| `digits` | scikit-learn's own; needs no data root |
| `npz/<name>` | `<name>.npz` with `x_train, y_train, x_test, y_test, classes` |
| `folder/<name>`, `imagenet/<name>` | `<name>/train/<class>/…` and other layouts, see `layouts` |
| `parquet/<name>` | `<name>/train*.parquet`, see `parquet` |
| `torchvision/cifar10`, `torchvision/cifar100` | torchvision's folders, see `cifar` |
| `boxes/<name>` | pictures with boxes, see `detection.layout`; for detectors alone |
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path

from dpk_core.catalogue import cifar
from dpk_core.catalogue.built_in import DIGITS_CHECK, DIGITS_LICENSE, cifar_check
from dpk_core.catalogue.dataset_check import DatasetCheck, class_pictures
from dpk_core.catalogue.dataset_hints import inside, nearest_first, no_such_data_set
from dpk_core.catalogue.detection.cards import box_dataset_check, is_box_data
from dpk_core.catalogue.detection.layout import is_detection_data
from dpk_core.catalogue.finding import Finding
from dpk_core.catalogue.findings import findings
from dpk_core.catalogue.folders import folder_kind
from dpk_core.catalogue.layouts import entries
from dpk_core.catalogue.listing import FolderListing
from dpk_core.catalogue.npz import read_layout
from dpk_core.catalogue.npz_pictures import npz_facts, npz_parts, npz_samples
from dpk_core.catalogue.pictures import is_picture_data, list_pictures, picture_facts, picture_parts, reading_of
from dpk_core.catalogue.reading import Background, Declaration, Fit, ReadingRule, read_declaration
from dpk_core.catalogue.recall import OneAtATime, Recall, looks
from dpk_core.catalogue.samples import Sample, remembered_samples, sample_files
from dpk_core.catalogue.shards import has_shards
from dpk_core.catalogue.splits import fingerprint
from dpk_core.catalogue.survey import uniform_survey
from dpk_core.detection_settings import Canvas, DetectionSettings
from dpk_core.display import is_text, shown
from dpk_core.errors import DataFault, InvalidRequest
from dpk_core.tasks import BOXES

IN_MEMORY_BYTES = 2**31
"""Data that is larger when decoded is read from its files while it trains. The same on all machines, because it decides
what a random crop is cut from."""


MOST_UNUSED = 50

DETECTION_RECIPE = "detection_small"
"""What detectors are trained by where no recipe is named."""

PHOTO_SIDE = 64
"""Pictures whose shorter edge is this long, and read at no less, are trained on with flips and resized crops (recipe
`photos`). A crop of smaller ones shows too little, and of an oblong one that is padded, too much of the border."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetCard:
    """A data set by name. `fingerprint`: content hash. Pictures are `channels` x `side` x `side`; those of files are
    made so by `rule`. Pictures with boxes lie on a `canvas`, whose longer side is `side`.

    `findings`: what people must know of it, the worst first; one may be a refusal to train on it.
    """

    name: str
    fingerprint: str
    classes: int
    channels: int
    side: int
    train_pictures: int
    validation_pictures: int
    test_pictures: int
    default_recipe: str
    fit: Fit = "whole"
    background: Background = "white"
    findings: tuple[Finding, ...] = ()
    canvas: Canvas | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the pictures."""
        return (self.side, self.side) if self.canvas is None else (self.canvas.height, self.canvas.width)

    @property
    def decoded_bytes(self) -> int:
        """Memory that all pictures together take at their working size."""
        pictures = self.train_pictures + self.validation_pictures + self.test_pictures
        return pictures * self.channels * math.prod(self.size)

    @property
    def rule(self) -> ReadingRule:
        """How picture files are read."""
        return ReadingRule(channels=self.channels, side=self.side, fit=self.fit, background=self.background)


def picture_fingerprint(content: str, rule: ReadingRule) -> str:
    """Identity of a data set of picture files; what the networks see depends also on how they are read."""
    return f"{fingerprint(content)}/{rule.identity}"


def card_of(check: DatasetCheck) -> DatasetCard:
    """What is found in short."""
    return DatasetCard(
        name=check.name, fingerprint=check.fingerprint, classes=len(check.classes), channels=check.channels,
        side=check.side, train_pictures=check.train, validation_pictures=check.validation, test_pictures=check.test,
        default_recipe=check.default_recipe, fit=check.fit, background=check.background, findings=findings(check),
    )  # fmt: skip


def box_dataset_card(name: str, data_root: Path | None, field: str, settings: DetectionSettings) -> DatasetCard:
    """The card of the detection data set `boxes/<name>` on the canvas of `settings`. Raises InvalidRequest on `field`
    where there is none, DataFault where it cannot be understood."""
    check, canvas = box_dataset_check(name, data_root, settings, field), settings.canvas
    return DatasetCard(
        name=check.name, fingerprint=check.fingerprint, classes=len(check.classes), channels=3,
        side=max(canvas.height, canvas.width), train_pictures=check.train,
        validation_pictures=check.validation, test_pictures=check.test, default_recipe=DETECTION_RECIPE,
        findings=check.findings, canvas=canvas,
    )  # fmt: skip


DIGITS = card_of(DIGITS_CHECK)


def dataset_names(data_root: Path | None) -> tuple[str, ...]:
    """Every data set that can be used with this data root, sorted within its kind."""
    names: list[str] = []
    if data_root is not None:
        # A data root that cannot be read holds no data sets; a request for one is refused with the reason.
        with contextlib.suppress(OSError), os.scandir(data_root) as entries:
            for entry in entries:
                if entry.name[0] != "." and is_text(entry.name):
                    names += _names(Path(entry.path), entry.is_dir())
        names += [name for name, found in cifar.OFFICIAL.items() if os.path.isdir(data_root / found.folder)]
    return ("digits", *sorted(names))


def unused_entries(data_root: Path | None) -> list[tuple[str, str]]:
    """What else lies under the data root, with what it holds, at most `MOST_UNUSED`; sorted by name."""
    if data_root is None:
        return []
    used = {name.partition("/")[2] for name in dataset_names(data_root)}
    used |= {f"{name}.npz" for name in used} | {found.folder for found in cifar.OFFICIAL.values()}
    with contextlib.suppress(OSError):
        found = entries(data_root)
        folders = [(name, inside(data_root / name)) for name in found.folders if name not in used]
        files = [(name, "is a file and no .npz") for name in found.files if name not in used and name[0] != "."]
        return [(shown(name), reason) for name, reason in sorted([*folders, *files])[:MOST_UNUSED]]
    return []


def check_dataset_name(name: str, data_root: Path | None, field: str) -> None:
    """Raises InvalidRequest on `field` with the nearest name when there is no such data set. Looks into no files."""
    if name in ("digits", *cifar.OFFICIAL) or _is_there(name, data_root):
        return
    near = nearest_first(name, dataset_names(data_root))
    raise InvalidRequest(field, no_such_data_set(name, near, data_root), near[0])


def dataset_card(name: str, data_root: Path | None, field: str) -> DatasetCard:
    """The card of the data set `name`: what its check finds, in short. Raises what that raises. Pictures with boxes lie
    on the canvas of `detection_small`."""
    if is_box_data(name):
        check_dataset_name(name, data_root, field)
        return box_dataset_card(name, data_root, field, DetectionSettings())
    return DIGITS if name == "digits" else card_of(dataset_check(name, data_root, field))


def dataset_check(name: str, data_root: Path | None, field: str) -> DatasetCheck:
    """The facts of the data set `name` of classes, from headers, listings, labels and the bytes of files.

    Raises InvalidRequest as `check_dataset_name` does, DataFault when the files are broken. The first look at picture
    files reads them all, of large data a sample; later ones only list them, and in the same process not even that as
    long as the folder looks the same (`recall`). Threads that ask meanwhile wait for it instead of reading too.
    """
    if is_picture_data(name) and data_root is not None and (known := _recalled(name, data_root)) is not None:
        return known
    check_dataset_name(name, data_root, field)
    if name == "digits":
        return DIGITS_CHECK
    if name in cifar.OFFICIAL:
        cifar.check_present(name, data_root)
        return cifar_check(name)
    assert data_root is not None
    if is_box_data(name):
        raise InvalidRequest(field, f"{name} has boxes and no classes of whole pictures.")
    if is_picture_data(name):
        with _one_at_a_time.of((name, data_root)):
            return _recalled(name, data_root) or _look_at_pictures(name, data_root)
    path = npz_path(name, data_root)
    status = path.stat()
    with _one_at_a_time.of((name, data_root)):
        return _npz_check(name, path, status.st_size, status.st_mtime_ns)


def dataset_license(name: str, data_root: Path | None) -> str | None:
    """The licence of the data, as their owner writes it in `dataset.json`; None: nobody states it. Raises DataFault."""
    if name == "digits":
        return DIGITS_LICENSE
    is_folder = is_picture_data(name) or is_box_data(name)
    return read_declaration(_folder(name, data_root)).license if is_folder and data_root else None


def dataset_samples(check: DatasetCheck, data_root: Path | None) -> tuple[Sample, ...]:
    """A few training pictures of a data set as networks see them, decoded once per fingerprint; none of `digits` and
    CIFAR, whose pictures only the runner can read. Raises DataFault."""
    if check.name in ("digits", *cifar.OFFICIAL) or data_root is None:
        return ()
    return remembered_samples(check.fingerprint, lambda: _samples(check.name, data_root))


def _samples(name: str, data_root: Path) -> tuple[Sample, ...]:
    try:
        if not is_picture_data(name):
            return npz_samples(npz_path(name, data_root))
        listing = list_pictures(name, data_root)
        parts = picture_parts(listing)
        return sample_files(listing, parts.train, reading_of(name, listing.folder, picture_facts(listing, parts)))
    except OSError as error:
        raise DataFault(f"{error.filename} cannot be read: {error.strerror}.") from error


def npz_path(name: str, data_root: Path) -> Path:
    """The file of the data set `npz/<stem>`."""
    return data_root / f"{name.removeprefix('npz/')}.npz"


_one_at_a_time = OneAtATime()
_RECALL: Recall[tuple[Declaration, DatasetCheck]] = Recall()


def _recalled(name: str, data_root: Path) -> DatasetCheck | None:
    """What this process knows of picture files that look as they did."""
    known = _RECALL.get((name, data_root))
    # A declaration may be written over in place, which changes no folder.
    return None if known is None or read_declaration(_folder(name, data_root)) != known[0] else known[1]


def _folder(name: str, data_root: Path) -> Path:
    return data_root / name.partition("/")[2]


def _look_at_pictures(name: str, data_root: Path) -> DatasetCheck:
    before_ns, listed_at = time.time_ns(), time.monotonic()
    declared = read_declaration(_folder(name, data_root))
    listing = list_pictures(name, data_root)
    parts = picture_parts(listing)
    facts = picture_facts(listing, parts)
    rule = reading_of(name, listing.folder, facts)
    found = DatasetCheck(
        name=name,
        fingerprint=picture_fingerprint(facts.content, rule),
        default_recipe=_default_recipe(min(rule.side, facts.survey.shorter_edge)),
        channels=rule.channels,
        side=rule.side,
        fit=rule.fit,
        background=rule.background,
        classes=class_pictures(listing.classes, listing.labels, parts),
        held_out=tuple(split for split in ("validation", "test") if split not in listing.labels),
        left_out=listing.left_out if isinstance(listing, FolderListing) else (),
        notes=listing.notes,
        survey=facts.survey,
        copies=facts.copies,
    )
    looked = looks(listing.folder, listing.folders, listing.all_files, before_ns=before_ns, listed_at=listed_at)
    if looked is not None:
        _RECALL.put((name, data_root), looked, (declared, found))
    return found


def _default_recipe(side: int) -> str:
    return "photos" if side >= PHOTO_SIDE else "small"


def _is_there(name: str, data_root: Path | None) -> bool:
    """Whether `<kind>/<stem>` is there, by looking at the one entry of the data root that it can be."""
    kind, _, stem = name.partition("/")
    if data_root is None or not stem or "/" in stem or "\0" in stem or stem[0] == "." or not is_text(stem):
        return False
    path = npz_path(name, data_root) if kind == "npz" else data_root / stem
    # Unlike pathlib's, these take a name that is too long for a name that is not there.
    return os.path.exists(path) and name in _names(path, os.path.isdir(path))


def _names(path: Path, is_folder: bool) -> list[str]:
    """The data sets that an entry of the data root is; folders that cannot be read (`lost+found`, say) are none."""
    if not is_folder:
        return [f"npz/{path.stem}"] if path.suffix == ".npz" and path.is_file() else []
    if not os.access(path, os.R_OK | os.X_OK):
        return []
    with contextlib.suppress(OSError):
        if is_detection_data(path):  # whose folders `images` and `labels` would look like classes
            return [f"{BOXES}/{path.name}"]
        kind = folder_kind(path)
        return [f"{each}/{path.name}" for each in (kind, "parquet" if has_shards(path) else None) if each is not None]
    return []


@functools.lru_cache(maxsize=64)
def _npz_check(name: str, path: Path, size: int, changed_ns: int) -> DatasetCheck:  # noqa: ARG001  (both only key the cache)
    layout = read_layout(path)
    parts = npz_parts(path.name, layout)
    facts = npz_facts(path, layout, parts)
    labels = {"train": layout.train_labels, "test": layout.test_labels}
    pictures = len(layout.train_labels) + len(layout.test_labels)
    return DatasetCheck(
        name=name, fingerprint=fingerprint(facts.content), default_recipe=_default_recipe(layout.side),
        channels=layout.channels, side=layout.side, classes=class_pictures(layout.names, labels, parts),
        held_out=("validation",), survey=uniform_survey(pictures, layout.side, layout.channels), copies=facts.copies,
    )  # fmt: skip
