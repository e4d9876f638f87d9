"""Detection data sets by name, `boxes/<name>`: `<name>` under the data root, in one of the layouts of `layout`."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from dpk_core.catalogue.detection.check import DetectionCheck, detection_check
from dpk_core.catalogue.detection.layout import is_detection_data
from dpk_core.detection_settings import DetectionSettings
from dpk_core.display import is_text
from dpk_core.errors import InvalidRequest
from dpk_core.nearest import nearest
from dpk_core.tasks import BOXES, task_of_data


def is_box_data(name: str) -> bool:
    """Whether a data set of this name is one of boxes."""
    return task_of_data(name) == "detection"


def box_dataset_names(data_root: Path | None) -> tuple[str, ...]:
    """Every detection data set under the data root, sorted."""
    found: list[str] = []
    if data_root is not None:
        with contextlib.suppress(OSError), os.scandir(data_root) as entries:
            found = [
                f"{BOXES}/{entry.name}"
                for entry in entries
                if entry.is_dir() and entry.name[0] != "." and is_text(entry.name) and _holds_boxes(Path(entry.path))
            ]
    return tuple(sorted(found))


def box_dataset_folder(name: str, data_root: Path | None, field: str) -> Path:
    """Where the data set `boxes/<name>` lies. Raises InvalidRequest on `field` with the nearest where it does not."""
    names = box_dataset_names(data_root)
    if data_root is None or name not in names:
        holds = f"there are {', '.join(names)}" if names else "the data root holds no annotations of boxes"
        raise InvalidRequest(field, f"There is no data set {name!r}; {holds}.", nearest(name, names))
    return data_root / name.removeprefix(f"{BOXES}/")


def box_dataset_check(name: str, data_root: Path | None, settings: DetectionSettings, field: str) -> DetectionCheck:
    """The facts of the data set `boxes/<name>`. Raises as `box_dataset_folder` does, and DataFault."""
    return detection_check(name, box_dataset_folder(name, data_root, field), settings)


def _holds_boxes(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        return is_detection_data(folder)
    return False
