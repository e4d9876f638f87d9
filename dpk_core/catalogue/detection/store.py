"""The door to detection data: the index of a folder, made once per content and kept in the cache folder.

Large annotation files are read in a child process, so that the memory that JSON takes while it is read is given back.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from dpk_core.catalogue.content import cache_folder, content_hash, remembered, state_key, whole_file
from dpk_core.catalogue.detection.index import INDEX_VERSION, DetectionIndex, from_bytes, to_bytes
from dpk_core.catalogue.detection.layout import DetectionLayout, detection_layout
from dpk_core.catalogue.recall import OneAtATime, Recall, looks
from dpk_core.errors import DataFault

IN_PROCESS_BYTES = 2**23
"""Annotation files up to this size together are read in this process."""

REFUSED = 3
"""Exit code of the child where the data is at fault; its standard error is the sentence."""


@dataclass(frozen=True, slots=True)
class Indexed:
    """`fingerprint`: identity of the data set by content, reading and split."""

    fingerprint: str
    index: DetectionIndex


def detection_index(folder: Path) -> Indexed:
    """The index of a data set in the layouts of `layout`. Raises DataFault with a sentence naming what is wrong."""
    return _listed(folder)[1]


def recalled_index(folder: Path) -> Indexed:
    """The same, as this process knows it of a folder that looks as it did (`recall`): for questions, not training."""
    with _one_at_a_time.of(folder):
        if (known := _RECALL.get(folder)) is not None:
            return known
        before_ns, listed_at = time.time_ns(), time.monotonic()
        layout, found = _listed(folder)
        looked = looks(folder, layout.folders, layout.files, before_ns=before_ns, listed_at=listed_at)
        if looked is not None:
            _RECALL.put(folder, looked, found)
        return found


_one_at_a_time = OneAtATime()
_RECALL: Recall[Indexed] = Recall()


def _listed(folder: Path) -> tuple[DetectionLayout, Indexed]:
    try:
        layout = detection_layout(folder)
        key = state_key(folder, layout.files)
        content = remembered("detection", key, lambda: {"content": content_hash(folder, layout.files)})["content"]
        return layout, Indexed(f"{content}/boxes-{INDEX_VERSION}", _stored(layout, content))
    except OSError as error:
        raise DataFault(f"{error.filename} cannot be read: {error.strerror}.") from error


def _stored(layout: DetectionLayout, content: str) -> DetectionIndex:
    path = cache_folder() / f"boxes-{INDEX_VERSION}-{content.replace(':', '-')}.npz"
    with contextlib.suppress(OSError, DataFault):
        return from_bytes(path.read_bytes())
    made = _made(layout)
    # Where nothing can be kept, it is made each time.
    with contextlib.suppress(OSError), whole_file(path) as file:
        file.write(made)
    return from_bytes(made)


def _made(layout: DetectionLayout) -> bytes:
    if layout.annotation_bytes <= IN_PROCESS_BYTES:
        return index_bytes(layout)
    command = (sys.executable, "-m", "dpk_core.catalogue.detection", str(layout.folder))
    done = subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL)  # noqa: S603 - our own module, a folder of the data root
    if done.returncode == REFUSED:
        raise DataFault(done.stderr.decode(errors="replace").strip())
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        reason = lines[-1][:300] if lines else f"its process ended with {done.returncode}, perhaps for want of memory"
        raise DataFault(f"{layout.folder.name} could not be indexed: {reason}.")
    return done.stdout


def index_bytes(layout: DetectionLayout) -> bytes:
    """The index of a listed data set as a file. Raises DataFault, OSError."""
    # Here, as Pillow and YAML are loaded only where files are read.
    from dpk_core.catalogue.detection.making import make_index

    return to_bytes(make_index(layout))
