"""A model's page: what is known of it, and what its trainings over all jobs came to."""

from __future__ import annotations

from dpk_core.catalogue.weight_names import split_weights
from service.database.session import reading
from service.models import service as models
from service.models.results import results_as_student, results_as_teacher
from service.problems import NotFound
from service.selection_jobs.service import list_jobs


def model_page(name: str) -> dict[str, object]:
    """What the template shows. Opens its own transactions, as `models.view` does. Raises NotFound."""
    plain, _ = split_weights(name)
    if not models.is_known(plain):
        raise NotFound(f"There is no model {plain!r}.")
    view = models.view(plain)
    with reading() as session:
        return {
            "model": view,
            "taught": results_as_student(session, plain),
            "teaches": results_as_teacher(session, plain),
            "jobs": list_jobs(session, limit=10, search=plain).jobs,
        }
