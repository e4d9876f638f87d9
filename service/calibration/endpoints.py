"""Calibration over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from dpk_core.spec import AskedMethodName
from service.calibration import service
from service.calibration.schemas import Calibration
from service.database.dependencies import Reading
from service.parameters import Parameters

router = APIRouter(tags=["calibration"])


class CalibrationParameters(Parameters):
    """Which jobs to look back at."""

    dataset: str | None = Field(default=None, max_length=200, examples=["digits"])
    method: AskedMethodName | None = None


@router.get("/calibration", operation_id="get_calibration", summary="Whether stated chances came true")
def calibration(session: Reading, asked: Annotated[CalibrationParameters, Query()]) -> Calibration:
    """What the newest finished jobs said before the first full training, against the teacher that then won."""
    return service.calibration(session, asked.dataset, asked.method)
