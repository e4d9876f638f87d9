"""Each webhook's secret, derived from a key of the server, so that a copy of the database does not hold it.

The key is `DPK_WEBHOOK_KEY`, the same for the API and every control worker; with the embedded database it may be left
out, and is then a file under `home` that only its owner can read.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
from contextlib import suppress
from pathlib import Path

from service.settings import LEAST_KEY, Settings

PREFIX = "whsec_"
FILE = "webhook.key"


class NoKey(Exception):
    """There is no key to derive secrets from; the text says what to set."""


def server_key(settings: Settings) -> bytes:
    """The key. Raises NoKey."""
    given = settings.webhook_key.get_secret_value()
    if given:
        return given.encode()
    if settings.database_address.get_backend_name() != "sqlite":
        raise NoKey(f"Set DPK_WEBHOOK_KEY to the same {LEAST_KEY} characters or more for the API and all workers.")
    path = settings.home / FILE
    key = _kept_key(path)
    if len(key) < LEAST_KEY:
        raise NoKey(f"{path} does not hold a whole key; delete it, and make new secrets for all webhooks.")
    return key


def _kept_key(path: Path) -> bytes:
    """The key in the file, which is made where it is missing. Raises NoKey."""
    try:
        if not path.exists():
            _make_key(path)
    except OSError as error:
        raise NoKey(f"The key {path} cannot be written: {error.strerror or error}.") from error
    try:
        return path.read_bytes()
    except OSError as error:
        why = error.strerror or error
        raise NoKey(f"The key {path} cannot be read: {why}. API and workers must run as its owner.") from error


def _make_key(path: Path) -> None:
    """Writes a key aside and links it into place: whoever reads the file finds a whole key, and the first one stays.

    Where the file system knows no links (exFAT, many network shares), the key is written in place: the first one stays
    there too, but who reads it at that moment may find a part, which `server_key` refuses.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    key = secrets.token_hex(LEAST_KEY)
    try:
        _write(aside, key)
        try:
            os.link(aside, path)
        except FileExistsError:
            pass
        except OSError:
            with suppress(FileExistsError):
                _write(path, key)
    finally:
        aside.unlink(missing_ok=True)


def _write(path: Path, key: str) -> None:
    """A file that only its owner reads. Raises FileExistsError."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(key)
        file.flush()
        os.fsync(file.fileno())


def key_id(key: bytes) -> str:
    """What tells one key from another, without saying anything about it."""
    return _derived(key, "key id").hex()[:16]


def secret_of(key: bytes, webhook_id: str, generation: int) -> str:
    """The webhook's secret as its receiver keeps it."""
    return PREFIX + base64.b64encode(_derived(key, f"webhook {webhook_id} {generation}")).decode()


def _derived(key: bytes, purpose: str) -> bytes:
    return hmac.new(key, f"dpk-select {purpose}".encode(), hashlib.sha256).digest()
