"""Models that no library lists: plug-ins that the operator installed, and exported programs that people uploaded.

Both are known by a document (`OwnModel`) with the same entries as the lists of the libraries' models, and both are
named by content: `family/member-<8 hex digits of the content's SHA-256>`. So a name never changes its meaning, and what
was trained under it is found again only for the same model.

| family | where the document comes from |
|---|---|
| `plugin` | `plugins.py` makes it from the installed package, in a child process |
| `own` | a process registers where uploads are looked up (`read_uploads_with`), or single documents (`make_known`) |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dpk_core.catalogue import plugins
from dpk_core.codec import from_json
from dpk_core.protocol import ArtifactReference

UPLOAD = "own"
"""Family of uploaded programs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnModel:
    """What is known of a model without building it.

    `card`, `weights`, `parameters`: as in `library_models.json`, `model_weights.json` and `model_parameters.zip`.
    `count`: numbers in its parameters without the head's. `file`: of an upload, the checked program under the artifact
    root. `notes`: what people must know of it, one sentence each.
    """

    name: str
    source: Literal["plug-in", "upload"]
    identity: str
    card: dict[str, Any]
    weights: dict[str, Any]
    parameters: str
    count: int
    file: ArtifactReference | None = None
    notes: tuple[str, ...] = field(default=())


Source = Callable[[str], OwnModel | None]

_known: dict[str, tuple[OwnModel, Path | None]] = {}
"""Documents of this process by name, with the artifact root that holds their files. Content never changes."""
_sources: list[tuple[Source, Callable[[], list[str]]]] = []


def make_known(model: OwnModel, artifact_root: Path | None = None) -> None:
    """Lets this process know an upload. `artifact_root`: where its file can be read, if this process builds it."""
    _known[model.name] = (model, artifact_root)


def read_uploads_with(source: Source, names: Callable[[], list[str]]) -> None:
    """Where this process looks up uploads that it does not know yet, and what gives the names of all."""
    _sources[:] = [(source, names)]


def upload_names() -> list[str]:
    """The uploads that can be looked up, to offer one."""
    return [name for _, names in _sources for name in names()]


def own_model(name: str, field: str = "model") -> OwnModel | None:
    """The document of a plug-in or an upload; None where there is none of this name.

    Raises InvalidRequest on `field` for a plug-in that cannot be built.
    """
    if name.startswith(f"{plugins.FAMILY}/"):
        document = plugins.described(name, field)
        return None if document is None else from_json(OwnModel, document)
    if not name.startswith(f"{UPLOAD}/"):
        return None
    if name not in _known:
        found = next((model for source, _ in _sources if (model := source(name)) is not None), None)
        if found is None:
            return None
        make_known(found)
    return _known[name][0]


def stored_program(name: str) -> tuple[Path, ArtifactReference]:
    """Artifact root and file of an upload that this process knows. Raises LookupError where it has no root."""
    model, root = _known[name]
    if root is None or model.file is None:
        raise LookupError(f"this process does not know where the program of {name} lies")
    return root, model.file
