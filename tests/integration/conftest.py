"""What is collected only on request."""

from __future__ import annotations

import os

collect_ignore = [] if os.environ.get("DPK_TEST_MLFLOW") else ["test_mlflow_server.py"]
"""It installs and starts a server of some hundred libraries: `make test-mlflow`."""
