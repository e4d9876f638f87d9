"""A page as an answer: its headers, and where a posted form leads to."""

from __future__ import annotations

from fastapi.responses import HTMLResponse, RedirectResponse, Response

from service.web import pages

SEE_OTHER = 303


def page(text: str, *, status: int = 200) -> Response:
    """A page that no browser keeps."""
    headers = {
        "Content-Security-Policy": pages.page_policy(),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
    return HTMLResponse(text, status, headers)


def to(root: str, path: str) -> Response:
    """To the page that shows what a form has done; reloading it posts nothing again."""
    return RedirectResponse(root + path, SEE_OTHER)
