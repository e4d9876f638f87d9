"""Starts the reading of a PyTorch file in a process that has no network.

    python -m dpk_core.catalogue.read_pytorch_file FILE TARGET

A network is left before torch is loaded, which starts threads; then `dpk_core.models.unpickle` takes over.
"""

from __future__ import annotations

import runpy

from dpk_core.exported.confinement import leave_network

if __name__ == "__main__":
    leave_network()
    runpy.run_module("dpk_core.models.unpickle", run_name="__main__")
