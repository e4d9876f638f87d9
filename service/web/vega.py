"""Vega for the browser: one JavaScript file that vl-convert carries within it and writes when it is first asked for.

Vega-Embed brings Vega's expression interpreter; `static/charts.js` asks for it (`ast`), so that the content policy
needs no `unsafe-eval`.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import hashlib
import os
from importlib import metadata

import vl_convert

from service.settings import settings

NAME = "vega.js"
_SNIPPET = "window.vegaEmbed = vegaEmbed;"


@functools.cache
def version() -> str:
    """What the file's content follows from, short; known without making the file, which takes seconds."""
    made_from = f"{metadata.version('vl-convert-python')} {_SNIPPET}"
    return hashlib.sha256(made_from.encode()).hexdigest()[:12]


@functools.cache
def bundle() -> bytes:
    """The file, compressed with gzip; kept in the home folder for the next process, where that can be written to."""
    kept = settings().home / f"vega-{version()}.js.gz"
    with contextlib.suppress(OSError):
        return kept.read_bytes()
    made = gzip.compress(vl_convert.javascript_bundle(_SNIPPET).encode(), 6, mtime=0)
    partial = kept.with_name(f"{kept.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        partial.write_bytes(made)
        partial.replace(kept)
    return made
