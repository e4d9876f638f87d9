"""A FastAPI application that does nothing but send the bytes of the file that `BODY` names."""

from __future__ import annotations

import os
from pathlib import Path

from fastapi import FastAPI, Response

BODY = Path(os.environ["BODY"]).read_bytes()

app = FastAPI()


@app.get("/")
async def body() -> Response:
    """The bytes."""
    return Response(BODY, 200, media_type="application/json")
