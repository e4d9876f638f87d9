"""What a training was carried out with, for whoever repeats it."""

from __future__ import annotations

import functools
import platform
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("dpk-select", "torch", "torchvision", "timm", "numpy")


@functools.cache
def versions() -> dict[str, str]:
    """Versions by package, of those that are installed, and of Python."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
