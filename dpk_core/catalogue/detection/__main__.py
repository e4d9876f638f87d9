"""Child process that makes an index: `python -m dpk_core.catalogue.detection FOLDER` writes it to standard output."""

from __future__ import annotations

import sys
from pathlib import Path

from dpk_core.catalogue.detection.layout import detection_layout
from dpk_core.catalogue.detection.store import REFUSED, index_bytes
from dpk_core.errors import DataFault

if __name__ == "__main__":
    try:
        sys.stdout.buffer.write(index_bytes(detection_layout(Path(sys.argv[1]))))
    except (DataFault, OSError) as error:
        sys.stderr.write(str(error))
        sys.exit(REFUSED)
