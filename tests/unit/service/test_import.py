"""The service stays light."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("torch", "torchvision", "timm", "sklearn", "scipy.stats")


def test_the_application_loads_neither_torch_nor_other_slow_libraries() -> None:
    program = f"import sys, service.app; print([name for name in {HEAVY} if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
