"""What the finished jobs said before the first full training, against what came out."""

from __future__ import annotations

from sqlalchemy.orm import Session

from dpk_core.catalogue.datasets import check_dataset_name
from dpk_core.codec import to_json
from dpk_core.selection.evaluate.calibration import LEAST_CLAIMS, Calibration, Claim, calibrate
from service.calibration import repository, schemas
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
    return schemas.Calibration.model_validate(to_json(found) | {"sentence": _sentence(found)})


def _sentence(found: Calibration) -> str:
    if found.held is None or found.size is None:
        return (
            f"Not measurable yet: of {_jobs(found.jobs)} that stated chances, {found.claims} trained enough teachers "
            f"fully to tell whether they held; it takes {LEAST_CLAIMS}."
        )
    held = found.held
    span = f"{100 * held.confidence:.0f}% interval {100 * held.low:.0f} to {100 * held.high:.0f}%"
    return (
        f"The stated {100 * found.confidence:.0f}% sets held the winner in {100 * held.value:.0f}% of "
        f"{_jobs(found.claims)} ({span}); they had {found.size:.1f} teachers on average. " + _truth(found)
    )


def _truth(found: Calibration) -> str:
    if found.exhaustive == found.claims:
        return "In each of them every teacher was trained fully."
    return (
        f"In {found.exhaustive} of the {found.claims} every teacher was trained fully, in the others at least one "
        "outside the set, so a miss may have stayed hidden there."
    )


def _jobs(count: int) -> str:
    return f"{count} job{'' if count == 1 else 's'}"
