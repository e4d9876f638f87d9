"""Files in class folders that are not read: counted by their endings, named, and refused beyond a few."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from dpk_core.catalogue.formats import ENDINGS, EXPECTED, ending
from dpk_core.display import shown
from dpk_core.errors import DataFault

CLUTTER = frozenset(
    {".csv", ".db", ".html", ".ini", ".json", ".jsonl", ".log", ".md", ".tsv", ".txt", ".xml", ".yaml", ".yml"}
)
"""Endings of notes and leftovers beside pictures. They and hidden files are counted, but never a reason to refuse."""

MOST_OF_ALL = 0.01
"""Part of a data set's pictures that may be left out."""

MOST_OF_A_CLASS = 0.05
"""Part of a class folder's files that may be left out."""

HIDDEN = "hidden"
HIDDEN_PICTURE = "hidden picture"
NO_LABEL = "no label"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOutKind:
    """Files that are left out for one reason. `what`: their ending, or `HIDDEN`, `HIDDEN_PICTURE` or `NO_LABEL`."""

    what: str
    count: int
    example: str

    @property
    def is_clutter(self) -> bool:
        """Whether these are notes and leftovers, which nobody takes for pictures."""
        return _is_clutter(self.what)

    @property
    def sentence(self) -> str:
        """For people."""
        return (
            f"Left out: {self.count} file{'s' * (self.count != 1)} {_verb(self.what, self.count)}, e.g. {self.example}."
        )


@dataclass(slots=True)
class LeftOut:
    """What a listing leaves out, filled while it lists. `read`: pictures that are read, by folder."""

    read: Counter[str] = field(default_factory=Counter)
    _counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    _examples: dict[tuple[str, str], str] = field(default_factory=dict)

    def add(self, folder: str, name: str, what: str | None = None) -> None:
        """Counts a file of `folder` (its path in the data set) that is not read; `what`: why, if not for its name."""
        key = folder, _what(name) if what is None else what
        self._counts[key] += 1
        self._examples[key] = min(self._examples.get(key, name), name)

    def in_folder(self, folder: str) -> str:
        """What a folder without pictures holds instead, for a sentence."""
        most = max(
            (key for key in self._counts if key[0] == folder), key=lambda key: (self._counts[key], key), default=None
        )
        return "" if most is None else f": {self._sentence(*most)}"

    def check(self, name: str) -> None:
        """Raises DataFault, naming the worst folder, when more is left out than a few files."""
        serious = {key: count for key, count in self._counts.items() if not _is_clutter(key[1])}
        if not serious:
            return
        lost: Counter[str] = Counter()
        for (folder, _), count in serious.items():
            lost[folder] += count
        total = lost.total() / max(1, self.read.total())
        # Loose files between the class folders belong to no class and count for the whole alone.
        parts = (count / (count + self.read[folder]) for folder, count in lost.items() if self.read[folder])
        if total > MOST_OF_ALL or max(parts, default=0) > MOST_OF_A_CLASS:
            worst = max(serious, key=lambda key: (serious[key], key))
            raise DataFault(
                f"{name}: too many files would be left out: {self._sentence(*worst)}. At most {MOST_OF_ALL:.0%} of the "
                f"pictures and {MOST_OF_A_CLASS:.0%} of a class may be; convert them ({EXPECTED}) or remove them."
            )

    def kinds(self) -> tuple[LeftOutKind, ...]:
        """The kinds of files that are left out, the most frequent first."""
        kinds: Counter[str] = Counter()
        for (_, what), count in self._counts.items():
            kinds[what] += count
        found = []
        for what, count in sorted(kinds.items(), key=lambda kind: (-kind[1], kind[0])):
            folder, name = min((folder, name) for (folder, kind), name in self._examples.items() if kind == what)
            found.append(LeftOutKind(what=shown(what), count=count, example=shown(f"{folder}/{name}".lstrip("/"))))
        return tuple(found)

    def _sentence(self, folder: str, what: str) -> str:
        count = self._counts[folder, what]
        files = self.read[folder] + sum(n for (place, _), n in self._counts.items() if place == folder)
        return f"{count} of {files} files in {folder} {_verb(what, count)}, e.g. {self._examples[folder, what]}"


def _what(name: str) -> str:
    if name[0] == ".":
        # Files that start with ._ hold what macOS knows of a picture, under that picture's ending.
        return HIDDEN_PICTURE if ending(name) in ENDINGS and not name.startswith("._") else HIDDEN
    return ending(name)


def _is_clutter(what: str) -> bool:
    return what == HIDDEN or what in CLUTTER


def _verb(what: str, count: int) -> str:
    one = count == 1
    if what in (HIDDEN, HIDDEN_PICTURE):
        return "is hidden by a leading dot" if one else "are hidden by a leading dot"
    if what == NO_LABEL:
        return "has no label" if one else "have no label"
    if not what:
        return "has no ending" if one else "have no ending"
    return f"ends in {what}" if one else f"end in {what}"
