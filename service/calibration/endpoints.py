"""Calibration over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from dpk_core.spec import TaughtMethodName
from service.calibration import service
from service.calibration.schemas import Calibration
from service.database.dependencies import Reading

router = APIRouter(tags=["calibration"])


@router.get("/calibration", operation_id="get_calibration", summary="Whether stated chances came true")
def calibration(
    session: Reading,
    dataset: Annotated[str | None, Query(max_length=200, examples=["digits"])] = None,
    method: Annotated[TaughtMethodName | None, Query()] = None,
) -> Calibration:
    """What the newest finished jobs said before the first full training, against the teacher that then won."""
    return service.calibration(session, dataset, method)
