"""The embedded queue: kombu's filesystem transport with messages that appear whole and are taken by one consumer only.

kombu writes a message under its final name, so a consumer can read it half written, and moves it to the system's
temporary folder to take it, which is no single step where that is another file system. Here both are one rename. It
also keeps a table of bindings that two starting processes race for; here a message goes to the queue it names.
"""

from __future__ import annotations

import json
import logging
import os
import time
import uuid
from contextlib import suppress
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.transport import filesystem

FORGOTTEN_SECONDS = 3600.0
"""After this a file that somebody was writing or taking was left by a crash."""

_log = logging.getLogger(__name__)


def remove_leftovers(folder: Path) -> None:
    """Deletes what crashed processes left half written or half taken; for a process to call once, when it starts."""
    for path in (*folder.glob("*.writing"), *folder.glob("*.taken")):
        with suppress(OSError):  # another process that starts was faster
            # A rename sets this time and leaves that of the content, so a message that waited long is no leftover.
            if path.stat().st_ctime < time.time() - FORGOTTEN_SECONDS:
                path.unlink()


class Channel(filesystem.Channel):
    """One folder; a message of queue `q` is a file `<time>_<unique>.q.msg`, oldest first."""

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        pass

    def _lookup(self, _exchange: str, routing_key: str, _default: str | None = None) -> list[str]:
        return [routing_key]

    # kombu calls `_put` with options and its own classes do not agree on the signature.
    def _put(self, queue: str, payload: Any, **_options: Any) -> None:  # type: ignore[override]  # see above
        folder = Path(self.data_folder_out)
        unique = f"{time.time_ns():020d}_{uuid.uuid4().hex}"
        unfinished = folder / f"{unique}.writing"
        try:
            with unfinished.open("w", encoding="utf-8") as file:
                file.write(json.dumps(payload))
                file.flush()
                os.fsync(file.fileno())  # else a power cut may leave the new name on an empty file
            unfinished.replace(folder / f"{unique}.{queue}.msg")
        except OSError:
            with suppress(OSError):
                unfinished.unlink()
            raise  # a full disk: the message stays in the outbox, and a later dispatch sends it

    def _get(self, queue: str, _timeout: float | None = None) -> Any:
        for name in sorted(os.listdir(self.data_folder_in)):
            if name.partition(".")[2] != f"{queue}.msg":
                continue
            taken = Path(self.data_folder_in, f"{name}.{uuid.uuid4().hex}.taken")
            try:
                Path(self.data_folder_in, name).rename(taken)
            except FileNotFoundError:
                continue  # another consumer was faster
            try:
                return json.loads(taken.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                # Raised from here it would end the worker. The next sweep finds what the message was about.
                _log.warning("The message %s cannot be read and is thrown away: %s", name, error)
            finally:
                with suppress(OSError):
                    taken.unlink()
        raise Empty


class Transport(filesystem.Transport):
    """Named by `broker_transport`."""

    Channel = Channel
