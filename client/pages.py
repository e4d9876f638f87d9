"""`dpk open`: a page in the browser."""

from __future__ import annotations

import webbrowser
from typing import Annotated

import typer
from pydantic import BaseModel

from client.options import SERVER_DEFAULT, AsJson, Server, console, print_document
from client.sdk import Client
from client.terminal import say


class OpenedPage(BaseModel):
    """What `--json` prints. `opened`: whether a browser took the address."""

    url: str
    opened: bool


def open_page(
    job_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="A job, or the beginning of its id; default: the list of jobs.")
    ] = None,
    server: Server = SERVER_DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Open a job's page in the browser.

    Prints its address, also where there is no browser.

    For example: dpk open 0f3c2a9d
    """
    with Client(server) as client:
        page = "/" if job_id is None else client.job(client.full_id(job_id)).links.page
        url = client.base_url + page
    opened = webbrowser.open(url)
    if as_json:
        print_document(OpenedPage(url=url, opened=opened))
        return
    say(console(), url, whole=True)
