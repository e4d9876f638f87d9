"""`python -m service`: serves the API and the pages until told to stop."""

from __future__ import annotations

import contextlib
import signal
from types import FrameType

import uvicorn

from service.app import app
from service.settings import settings

GRACE_SECONDS = 5
"""Time that requests under way get at the end."""


class Server(uvicorn.Server):
    """Ends open event streams when it is told to stop; otherwise it would wait for jobs to end."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called by the signal."""
        app.state.closing.set()
        super().handle_exit(sig, frame)


def main() -> None:
    """Serves at the address of the settings. A termination by signal is a clean end."""
    chosen = settings()
    config = uvicorn.Config(
        app, host=chosen.host, port=chosen.port, timeout_graceful_shutdown=GRACE_SECONDS, lifespan="off",
        root_path=chosen.root_path, forwarded_allow_ips="*" if chosen.trust_proxy else None,
        access_log=False,  # pollers and pages ask every second, and would drown what matters
    )  # fmt: skip
    signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    with contextlib.suppress(KeyboardInterrupt):
        Server(config).run()


if __name__ == "__main__":
    main()
