"""What each command prints with `--json`: one document, or one a line where it says so. Their schemas are in
`docs/reference/json.md`, which is made from this table."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel

from client.compare import Comparison
from client.evaluate import Evaluated
from client.export import Exported
from client.gate import GateReport
from client.pages import OpenedPage
from service.best_teacher.schemas import BestTeacher
from service.datasets.schemas import BoxDataset, Dataset, DatasetList
from service.imported_results.schemas import Imported, ImportedRows
from service.job_runs.schemas import JobRunDetails, JobRunList, LogLine
from service.methods.schemas import MethodList, RecipeList
from service.models.schemas import ModelList, ModelView
from service.webhooks.schemas import Delivery, DeliveryList, WebhookList, WebhookSecret
from service.wire.boards import Leaderboard
from service.wire.jobs import Job, JobList, SelectionJobRequest


@dataclass(frozen=True, slots=True)
class Printed:
    """A document. `lines`: there may be several, each on a line of its own."""

    kind: type[BaseModel]
    lines: bool = False


DOCUMENTS: dict[str, tuple[Printed, ...]] = {
    "demo": (Printed(Leaderboard),),
    "submit": (Printed(Job), Printed(Job, lines=True)),
    "jobs": (Printed(JobList),),
    "watch": (Printed(Job, lines=True),),
    "leaderboard": (Printed(Leaderboard),),
    "compare": (Printed(Comparison),),
    "runs": (Printed(JobRunList),),
    "logs": (Printed(LogLine, lines=True), Printed(JobRunDetails)),
    "best-teacher": (Printed(BestTeacher),),
    "gate": (Printed(GateReport),),
    "open": (Printed(OpenedPage),),
    "request": (Printed(SelectionJobRequest),),
    "cancel": (Printed(Job),),
    "pause": (Printed(Job),),
    "resume": (Printed(Job),),
    "retry": (Printed(Job),),
    "add-teacher": (Printed(Job),),
    "name": (Printed(Job),),
    "export": (Printed(Exported),),
    "evaluate": (Printed(Evaluated),),
    "datasets": (Printed(DatasetList),),
    "dataset check": (Printed(Dataset), Printed(BoxDataset)),
    "models": (Printed(ModelList),),
    "model add": (Printed(ModelView),),
    "methods": (Printed(MethodList),),
    "webhook add": (Printed(WebhookSecret),),
    "webhook list": (Printed(WebhookList),),
    "webhook test": (Printed(Delivery),),
    "webhook log": (Printed(DeliveryList),),
    "webhook resend": (Printed(Delivery),),
    "webhook secret": (Printed(WebhookSecret),),
    "imported add": (Printed(Imported),),
    "imported list": (Printed(ImportedRows),),
    "recipes": (Printed(RecipeList),),
}
"""By command; where a command prints several kinds, the plain one first, then that of its options."""
