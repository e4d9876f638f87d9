"""Data sets of pictures with boxes: on the canvas in memory where they are small, read while training where not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dpk_core.catalogue.content import remembered, state_key
from dpk_core.catalogue.datasets import IN_MEMORY_BYTES, DatasetCard
from dpk_core.catalogue.detection.cards import box_dataset_folder
from dpk_core.catalogue.detection.index import SplitIndex
from dpk_core.catalogue.detection.layout import detection_layout
from dpk_core.catalogue.detection.store import detection_index
from dpk_core.catalogue.detection.upright import check_size
from dpk_core.data.boxes import BoxTargets, box_targets
from dpk_core.data.canvas_reading import read_picture
from dpk_core.data.crops import Draws
from dpk_core.data.picture_files import SAMPLED_PICTURES
from dpk_core.data.split import ImageData, Reading, check_fingerprint, image_data
from dpk_core.data.streamed import each_on_threads, threads, together
from dpk_core.data.to_device import to_device
from dpk_core.detection_settings import Canvas
from dpk_core.errors import DataFault

AT_ONCE = 256
"""Pictures that are decoded side by side."""

SAMPLE_BYTES = 2**28
"""Memory that the pictures take which statistics are taken from, where data is large."""


@dataclass(frozen=True, slots=True, eq=False)
class BoxSplit:
    """Pictures of `truth`, whose files lie in `folder`, on the canvas. `labels` is empty, as boxes have classes, and
    says the device. `pictures`: all of them (N x 3 x canvas, uint8) on the device; None: read when they are wanted."""

    folder: Path
    truth: SplitIndex
    canvas: Canvas
    labels: Tensor
    pictures: Tensor | None = None

    def __len__(self) -> int:
        return len(self.truth)

    def targets(self, positions_B: Tensor) -> BoxTargets:
        """The boxes on the canvas of the pictures at `positions_B` (on the CPU), on the device."""
        return box_targets(self.truth, positions_B.tolist(), self.canvas).to(self.labels.device)

    def start_reading(self, positions_B: Tensor, crops_BA4: Draws | None = None) -> Reading:
        """See `PictureSplit`. Crops that know nothing of boxes are refused."""
        if crops_BA4 is not None:
            raise ValueError("pictures with boxes take no crops that know nothing of them")
        if self.pictures is not None:
            held_NCHW = self.pictures
            return lambda: held_NCHW[to_device(positions_B, held_NCHW.device)]
        reading = [threads().submit(self._read, position) for position in positions_B.tolist()]
        return together(reading, self.labels.device)

    def decoded(self) -> BoxSplit:
        """The same split in memory on the device. Raises DataFault naming the first broken picture."""
        held_NCHW = torch.empty((len(self), 3, self.canvas.height, self.canvas.width), dtype=torch.uint8)
        for positions_B in torch.split(torch.arange(len(self)), AT_ONCE):
            held_NCHW[positions_B] = self.start_reading(positions_B)().cpu()
        return replace(self, pictures=held_NCHW.to(self.labels.device))

    def _read(self, picture: int) -> NDArray[np.uint8]:
        return read_picture(self.folder, self.truth, picture, self.canvas)


def load_boxes(card: DatasetCard, data_root: Path, device: torch.device) -> ImageData:
    """Loads what the card promises. Raises DataFault when the files are other ones, one of them is broken, or a split
    has no boxes to be judged by.

    The statistics that pictures are normalised by are of the canvas with its black border.
    """
    folder = box_dataset_folder(card.name, data_root, "dataset")
    found, layout, canvas = detection_index(folder), detection_layout(folder), card.canvas
    check_fingerprint(card, found.fingerprint)
    assert canvas is not None
    for name, truth in found.index.splits.items():
        if truth.crowd_M.all():
            raise DataFault(f"The {name} pictures of {card.name} have no boxes; add some to its annotations.")
    large = card.decoded_bytes > IN_MEMORY_BYTES
    if large:
        remembered(
            "boxes_checked", state_key(folder, layout.files), lambda: _check_all(folder, found.index.splits.values())
        )

    def split(name: str) -> BoxSplit:
        labels = torch.zeros(0, dtype=torch.int64, device=device)
        read = BoxSplit(folder, found.index.splits[name], canvas, labels)
        return read if large else read.decoded()

    train, validation = split("train"), split("validation")
    if not large:
        # A broken test picture must not wait for the end of a long training to be found.
        remembered("decoded", state_key(folder, layout.files), lambda: {"test": len(split("test"))})
    sampled = min(SAMPLED_PICTURES, max(1, SAMPLE_BYTES // (3 * canvas.height * canvas.width)))
    most = min(len(train), sampled) if large else len(train)
    positions = torch.from_numpy(np.linspace(0, len(train) - 1, most).astype(np.int64))
    sample_BCHW = train.start_reading(positions)()
    return image_data(
        card, train=train, validation=validation, read_test=lambda: split("test"), sample_BCHW=sample_BCHW
    )


def _check_all(folder: Path, splits: Iterable[SplitIndex]) -> dict[str, int]:
    """Looks at the header of every picture: the check has seen only a sample of those of large data. Raises DataFault
    naming one that cannot be read, or has another size than its boxes were drawn on."""
    names = [(split.name(place), *size) for split in splits for place, size in enumerate(split.sizes_N2.tolist())]
    each_on_threads(lambda each: check_size(each[0], folder / each[0], each[1], each[2]), names)
    return {"pictures": len(names)}
