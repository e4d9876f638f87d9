"""Starts the check of an upload in a process that has no network.

    python -m dpk_core.exported.check NAME IDENTITY UPLOAD TARGET

A network is left before torch is loaded, which starts threads; then `dpk_core.models.vet` takes over.
"""

from __future__ import annotations

import runpy

from dpk_core.exported.confinement import leave_network

if __name__ == "__main__":
    leave_network()
    runpy.run_module("dpk_core.models.vet", run_name="__main__")
