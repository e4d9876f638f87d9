"""What can be known of data sets: read from their folders, where pre-flight reads them too."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from dpk_core.catalogue.datasets import (
    DETECTION_RECIPE,
    check_dataset_name,
    dataset_check,
    dataset_names,
    dataset_samples,
    unused_entries,
)
from dpk_core.catalogue.detection.cards import box_dataset_folder
from dpk_core.catalogue.detection.check import detection_check
from dpk_core.catalogue.detection.findings import fault_finding
from dpk_core.catalogue.detection.samples import training_samples
from dpk_core.catalogue.findings import findings
from dpk_core.codec import to_json
from dpk_core.detection_settings import DetectionSettings
from dpk_core.errors import DataFault, InvalidRequest
from dpk_core.tasks import task_of_data
from service.datasets import schemas
from service.problems import NotFound, Rejected, field_error
from service.settings import settings

SAMPLES = 6
"""Training pictures with boxes that are shown."""


def list_datasets() -> schemas.DatasetList:
    """Names alone; nothing is looked into."""
    root = settings().data_root
    return schemas.DatasetList(
        datasets=[schemas.DatasetEntry(name=name, links=_links(name)) for name in dataset_names(root)],
        unused=[schemas.UnusedEntry(name=name, reason=reason) for name, reason in unused_entries(root)],
    )


def dataset(name: str) -> schemas.Dataset | schemas.BoxDataset:
    """The check of a data set; the first one reads its files. Raises NotFound, and Rejected where they are broken."""
    root = settings().data_root
    try:
        check_dataset_name(name, root, "name")
        return _of_boxes(name, root) if task_of_data(name) == "detection" else _of_classes(name, root)
    except InvalidRequest as error:
        wrong = field_error(error)
        raise NotFound(wrong.message, [wrong]) from error
    except DataFault as fault:
        raise Rejected.at("name", str(fault)) from fault


def _of_boxes(name: str, root: Path | None) -> schemas.BoxDataset:
    folder = box_dataset_folder(name, root, "name")
    check = detection_check(name, folder, DetectionSettings())
    found = check.findings
    return schemas.BoxDataset.model_validate(
        to_json(check)
        | {
            "default_recipe": DETECTION_RECIPE,
            "train_pictures": check.train,
            "validation_pictures": check.validation,
            "test_pictures": check.test,
            "faults": [{**to_json(each), "level": fault_finding(each).level} for each in check.faults],
            "findings": to_json(list(found)),
            "refused": any(each.level == "refusal" for each in found),
            "samples": to_json(training_samples(folder, SAMPLES))["pictures"],
            "links": _links(name),
        }
    )


def _of_classes(name: str, root: Path | None) -> schemas.Dataset:
    check = dataset_check(name, root, "name")
    samples, found = dataset_samples(check, root), findings(check)
    return schemas.Dataset.model_validate(
        to_json(check)
        | {
            "train_pictures": check.train,
            "validation_pictures": check.validation,
            "test_pictures": check.test,
            "most_frequent": check.most_frequent.name,
            "base_rate": check.base_rate,
            "smallest": check.smallest.name,
            "findings": to_json(found),
            "refused": any(each.level == "refusal" for each in found),
            "samples": to_json(samples),
            "links": _links(name),
        }
    )


def _links(name: str) -> schemas.DatasetLinks:
    path = quote(name)
    return schemas.DatasetLinks(self=f"/datasets/{path}", page=f"/data/{path}")
