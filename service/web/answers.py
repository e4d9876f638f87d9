"""How pages are sent."""

from __future__ import annotations

from fastapi.responses import HTMLResponse, Response

from service.web import pages


def page(text: str, *, status: int = 200, policy: str | None = None) -> Response:
    """A page under the policy of pages, or another one."""
    headers = {
        "Content-Security-Policy": policy or pages.page_policy(),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
    return HTMLResponse(text, status, headers)
