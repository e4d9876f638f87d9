"""Data sets over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from service.datasets import service
from service.datasets.schemas import AnyDataset, DatasetList
from service.parameters import NO_PARAMETERS
from service.problems import responses

router = APIRouter(prefix="/datasets", tags=["data sets"])

Name = Annotated[str, Path(max_length=200, description="A data set's name.", examples=["folder/flowers"])]


@router.get(
    "", operation_id="list_datasets", summary="The data sets of this server", dependencies=NO_PARAMETERS,
)  # fmt: skip
def list_datasets() -> DatasetList:
    """Every name that a job can ask for, and what lies under the data root without being a data set."""
    return service.list_datasets()


@router.get(
    "/{name:path}", operation_id="get_dataset", summary="What is known of a data set",
    dependencies=NO_PARAMETERS, responses=responses(404, 422),
)  # fmt: skip
def dataset(name: Name) -> AnyDataset:
    """Pictures by class and split, files left out, sizes and marks, copies across splits, and what all that means; of
    pictures with boxes, boxes by class and size, and faults of annotations by kind.

    The first answer about new files reads them all, of large data a sample, and may take a while.
    422 where the files cannot be understood; the detail says what was found and what is expected.
    """
    return AnyDataset(service.dataset(name))
