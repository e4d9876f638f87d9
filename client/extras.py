"""Packages that some commands need beyond the client's own, by the extra of `dpk-select` that brings them."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal

from client.errors import InputFault

Extra = Literal["server", "runner"]
PACKAGES: dict[Extra, tuple[str, ...]] = {
    "server": ("fastapi", "sqlalchemy", "alembic", "celery"),
    "runner": ("torch", "torchvision", "timm"),
}
"""Packages by which it is known whether an extra is installed."""


def need(what: str, extra: Extra, *packages: str) -> None:
    """Raises InputFault where a package that `what` needs is not installed; by default, any of the extra's."""
    missing = [name for name in packages or PACKAGES[extra] if find_spec(name) is None]
    if missing:
        listed = " and ".join(filter(None, [", ".join(missing[:-1]), missing[-1]]))
        raise InputFault(
            f"{what} needs {listed}, which this Python does not have; install dpk-select[{extra}] here, or run this "
            "where it is installed."
        )
