"""Which file on disk an annotation file means by a picture's name, exactly or nearly."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dpk_core.catalogue.formats import ENDINGS, ending

TRIED = 50
"""Names by which the folder of a split's pictures is chosen."""


class PictureFiles:
    """The picture files of a data set's folder, by path."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths = {path for path in paths if ending(path) in ENDINGS}
        self._by_lower: dict[str, str] = {}
        self._by_name: dict[str, str] = {}
        for path in sorted(self._paths):
            self._by_lower.setdefault(path.lower(), path)
            name = path.rpartition("/")[2].lower()
            # The empty path: several files have this name.
            self._by_name[name] = "" if name in self._by_name else path

    def __contains__(self, path: str) -> bool:
        return path in self._paths

    def folder(self, candidates: Sequence[str], names: Sequence[str]) -> str:
        """The folder (with a `/` at its end) that holds the most of the first names; of several the first."""
        tried = [_clean(name) for name in names[:TRIED]]
        return max(candidates, key=lambda folder: sum(f"{folder}{name}" in self._paths for name in tried))

    def find(self, folder: str, name: str) -> tuple[str, str]:
        """The path of a picture and the kind of fault in its name; empty where there is none."""
        clean = _clean(name)
        path = f"{folder}{clean}"
        if path in self._paths:
            return path, "file_backslash" if "\\" in name else ""
        if path.lower() in self._by_lower:
            return self._by_lower[path.lower()], "file_case"
        if elsewhere := self._by_name.get(clean.rpartition("/")[2].lower()):
            return elsewhere, "file_elsewhere"
        return "", "file_missing"


def _clean(name: str) -> str:
    return name.replace("\\", "/").removeprefix("./")
