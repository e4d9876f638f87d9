"""What the newest finished jobs said before the first full training, against what came out."""

from __future__ import annotations

from sqlalchemy.orm import Session

from dpk_core.catalogue.datasets import check_dataset_name
from dpk_core.codec import to_json
from dpk_core.selection.evaluate.calibration import Claim, calibrate
from service.calibration import repository, schemas
from service.presentation.calibration_words import calibration_sentence
from service.settings import settings


def calibration(session: Session, dataset: str | None, method: str | None) -> schemas.Calibration:
    """The record over the newest finished jobs. Raises InvalidRequest for an unknown data set."""
    if dataset is not None:
        check_dataset_name(dataset, settings().data_root, "dataset")
    claims: dict[str, Claim] = {}
    for stated in repository.stated(session, dataset, method):
        # The same question asked again finds the same trainings: it is no second piece of evidence.
        claims.setdefault(stated.question, Claim(chances=stated.chances, trained=stated.trained))
    found = calibrate(list(claims.values()))
    words = {"sentence": calibration_sentence(found), "most_jobs": repository.NEWEST}
    return schemas.Calibration.model_validate(to_json(found) | words)
