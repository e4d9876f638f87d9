"""`python -m service`: serves the API and the pages until asked to stop."""

from __future__ import annotations

import contextlib
import signal
import socket
from types import FrameType

import uvicorn
from anyio import to_thread

from service.app import app
from service.starting import checked_settings, one_thread_for_matrices, starting

GRACE_SECONDS = 5
"""Time that requests under way get at the end."""


class Server(uvicorn.Server):
    """Ends open event streams when it is asked to stop; otherwise it would wait for jobs to end.

    `threads`: requests that are served at once. With more than there are connections to the database, those beyond
    would only wait for one.
    """

    def __init__(self, config: uvicorn.Config, threads: int) -> None:
        super().__init__(config)
        self._threads = threads

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Called within the event loop, which the thread pool belongs to."""
        to_thread.current_default_thread_limiter().total_tokens = self._threads
        await super().startup(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called by the signal."""
        app.state.closing.set()
        super().handle_exit(sig, frame)


def main() -> None:
    """Serves at the address of the settings. A termination by signal is a clean end."""
    with starting():
        chosen = checked_settings()
    one_thread_for_matrices()
    config = uvicorn.Config(
        app, host=chosen.host, port=chosen.port, timeout_graceful_shutdown=GRACE_SECONDS, lifespan="off",
        server_header=False,
        root_path=chosen.root_path, forwarded_allow_ips="*" if chosen.trust_proxy else None,
        access_log=False,  # pollers and pages ask every second, and would drown what matters
    )  # fmt: skip
    signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    with contextlib.suppress(KeyboardInterrupt):
        Server(config, chosen.database_pool_size + chosen.database_pool_overflow).run()


if __name__ == "__main__":
    main()
