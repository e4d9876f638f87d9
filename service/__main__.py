"""`python -m service`: the API and the pages, on the address in the settings."""

from __future__ import annotations

import uvicorn

from service.settings import settings

GRACE_SECONDS = 5
"""Open event streams would otherwise hold the shutdown up for ever."""

if __name__ == "__main__":
    uvicorn.run(
        "service.app:app",
        host=settings().host,
        port=settings().port,
        timeout_graceful_shutdown=GRACE_SECONDS,
        log_level="info",
        access_log=False,
    )
