"""What a client can do with results obtained elsewhere."""

from __future__ import annotations

from urllib.parse import quote

from client.connection import Ask, Connection
from service.imported_results.schemas import Imported, ImportedRows, ImportRequest

PATH = "/imported-results"


class ImportCalls:
    """A part of `Client`."""

    _connection: Connection

    def import_results(self, results: ImportRequest) -> Imported:
        """Stores them as rows of their own protocol; the same again changes nothing."""
        body = results.model_dump(mode="json", exclude_defaults=True)
        return self._connection.read(Imported, Ask(method="POST", path=PATH, json=body))

    def imported_results(self, student: str, dataset: str) -> ImportedRows:
        """A row for each protocol, method and teacher."""
        params = {"student": student, "dataset": dataset}
        return self._connection.read(ImportedRows, Ask(method="GET", path=PATH, params=params))

    def remove_imported_results(self, stamp: str) -> None:
        """Forgets a protocol's results."""
        self._connection.send(Ask(method="DELETE", path=f"{PATH}/{quote(stamp, safe='')}", attempts=1))
