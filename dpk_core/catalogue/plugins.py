"""Models of installed packages: entry points of two groups. No torch, and no package is imported.

| group | names |
|---|---|
| `dpk_select.models` | a callable `build(*, classes: int, channels: int, side: int) -> torch.nn.Module` |
| `dpk_select.detectors` | the same with `height` and `width` instead of `side`, see `dpk_core.detection.plugged` |

What is to be known of its model (feature maps, parameters, picture sizes) is measured by a child process, which has
torch (`describe_plugin` of either room), and kept until a Python file of the package changes.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from dpk_core.catalogue.content import DataFile, content_hash, file_state, remembered, state_key
from dpk_core.errors import InvalidRequest

GROUP, DETECTORS_GROUP = "dpk_select.models", "dpk_select.detectors"
FAMILY = "plugin"
_DESCRIBERS = {GROUP: "dpk_core.models.describe_plugin", DETECTORS_GROUP: "dpk_core.detection.describe_plugin"}
DESCRIBE_SECONDS = 300.0
"""A child process that takes longer is ended, and its plug-in refused."""
PLAIN_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}")
"""What a plug-in or an upload may be called. No dot and no `@`, which begin a tag and weights elsewhere."""
HASH_DIGITS = 8


def content_name(family: str, member: str, identity: str) -> str:
    """The name of a model with this content (`sha256:…`)."""
    return f"{family}/{member}-{identity.removeprefix('sha256:')[:HASH_DIGITS]}"


def plugin_names() -> tuple[str, ...]:
    """`plugin/<entry point>-<hash>` of every installed plug-in, sorted."""
    return tuple(sorted(_named(tuple(sys.path))))


def entry_point(name: str) -> EntryPoint | None:
    """The entry point of a plug-in by its full name."""
    return _named(tuple(sys.path)).get(name)


def full_name(name: str) -> str | None:
    """The present full name of `plugin/<entry point>`, with or without a hash behind it; None: it is not installed."""
    family, _, member = name.partition("/")
    if family != FAMILY:
        return None
    return next((full for full in plugin_names() if name in (full, full.rpartition("-")[0])), None) if member else None


def described(name: str, field: str) -> dict[str, Any] | None:
    """The document of a plug-in (`own_models.OwnModel` as JSON), measured the first time; None: there is no such one.

    Raises InvalidRequest on `field` where its model cannot be built or measured.
    """
    found = entry_point(name)
    if found is None:
        return None
    key = hashlib.sha256(f"{name}\n{found.group}\n{found.value}\n{identity(found)}".encode()).hexdigest()
    return remembered("plug-in", key, lambda: _measured(name, found, field))


def identity(found: EntryPoint) -> str:
    """`sha256:` of the Python files of the entry point's top package, and of which callable it names."""
    files, folder = _sources(found)
    content = hashlib.sha256(f"{found.value}\n{_content(folder, files)}".encode())
    return f"sha256:{content.hexdigest()}"


def _content(folder: Path, files: tuple[DataFile, ...]) -> str:
    return str(
        remembered("plug-in-files", state_key(folder, files), lambda: {"hash": content_hash(folder, files)})["hash"]
    )


def _sources(found: EntryPoint) -> tuple[tuple[DataFile, ...], Path]:
    """The Python files of the package. Finding a top package imports nothing."""
    spec = importlib.util.find_spec(found.module.partition(".")[0])
    if spec is None or not (spec.submodule_search_locations or spec.origin):
        return (), Path()
    if spec.submodule_search_locations:
        folder = Path(next(iter(spec.submodule_search_locations)))
        paths = sorted(folder.rglob("*.py"))
    else:
        folder, paths = Path(str(spec.origin)).parent, [Path(str(spec.origin))]
    return tuple(file_state(folder, path.relative_to(folder).as_posix()) for path in paths), folder


@functools.lru_cache(maxsize=4)
def _named(_path: tuple[str, ...]) -> Mapping[str, EntryPoint]:
    """Plug-ins by full name. Listing distributions takes tens of milliseconds, so once for each search path.

    Names that are no plain ones are left out, and so are those that two packages, or both groups, claim.
    """
    by_name: dict[str, list[EntryPoint]] = {}
    for found in (*entry_points(group=GROUP), *entry_points(group=DETECTORS_GROUP)):
        if PLAIN_NAME.fullmatch(found.name):
            by_name.setdefault(found.name, []).append(found)
    single = {name: each[0] for name, each in by_name.items() if len({found.value for found in each}) == 1}
    return {content_name(FAMILY, name, identity(found)): found for name, found in single.items()}


def _measured(name: str, found: EntryPoint, field: str) -> dict[str, Any]:
    package = found.dist.name if found.dist is not None else found.module
    refusal = f"The plug-in {name} of the package {package} cannot be used"
    command = (sys.executable, "-m", _DESCRIBERS[found.group], name)
    try:
        done = subprocess.run(command, capture_output=True, timeout=DESCRIBE_SECONDS, check=False)  # noqa: S603 - our own module; the name is an installed entry point's
    except subprocess.TimeoutExpired:
        message = f"{refusal}: it was not measured within {DESCRIBE_SECONDS:.0f} seconds."
        raise InvalidRequest(field, message) from None
    if done.returncode != 0:
        lines = [line for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
        raise InvalidRequest(field, f"{refusal}: {lines[-1][:300] if lines else 'its process died'}.")
    document: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return document
