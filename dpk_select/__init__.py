"""The names that programs import: the client of a DPK Select server, and what it takes and gives.

    from dpk_select import Client

Installed alone (`pip install .` in the project's folder) it needs neither torch nor a database; docs/sdk.md shows its
use.
"""

from client import VERSION
from client.errors import (
    ClientError,
    InputFault,
    JobEnded,
    NothingFound,
    ServerProblem,
    ServerUnreachable,
    TimeIsOver,
    VersionMismatch,
)
from client.exit_codes import ExitCode
from client.sdk import Client
from service.best_teacher.schemas import BestTeacher
from service.wire.boards import Leaderboard
from service.wire.jobs import Budget, Job, SelectionJobRequest

__version__ = VERSION

__all__ = [
    "BestTeacher",
    "Budget",
    "Client",
    "ClientError",
    "ExitCode",
    "InputFault",
    "Job",
    "JobEnded",
    "Leaderboard",
    "NothingFound",
    "SelectionJobRequest",
    "ServerProblem",
    "ServerUnreachable",
    "TimeIsOver",
    "VersionMismatch",
    "__version__",
]
