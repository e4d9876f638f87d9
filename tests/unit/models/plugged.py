"""The example plug-in as installed: its package and a distribution's metadata on the search path."""

from __future__ import annotations

import os
import sys
import tomllib
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[3] / "examples" / "own_model"


def install(
    folder: Path, monkeypatch: pytest.MonkeyPatch, package: Path, *, group: str = "dpk_select.models", **entries: str
) -> None:  # fmt: skip
    """Puts `package` and metadata that names `entries` in front of the search path of this process and its children."""
    metadata = folder / f"{package.name}-0.1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package.name}\nVersion: 0.1.0\n")
    lines = "\n".join(f"{name} = {value}" for name, value in entries.items())
    (metadata / "entry_points.txt").write_text(f"[{group}]\n{lines}\n")
    (folder / package.name).symlink_to(package)
    monkeypatch.syspath_prepend(str(folder))
    before = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), *([before] if before else [])]))
    for module in [name for name in sys.modules if name.partition(".")[0] == package.name]:
        monkeypatch.delitem(sys.modules, module)


def install_example(folder: Path, monkeypatch: pytest.MonkeyPatch, example: Path = EXAMPLE) -> None:
    """The package of an example, with the entry points that its pyproject.toml states."""
    project = tomllib.loads((example / "pyproject.toml").read_text())["project"]
    (package,) = (path.parent for path in example.glob("*/__init__.py"))
    ((group, entries),) = project["entry-points"].items()
    install(folder, monkeypatch, package, group=group, **entries)
