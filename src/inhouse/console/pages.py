"""Rendering: templates to answers, with the headers that every page of the console carries."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from inhouse.console.assets import Assets, conditional, takes_gzip
from inhouse.console.dates import day
from inhouse.kit.money import format_dollars, format_dollars_short

# Nothing inline and nothing from elsewhere: a page that is made to show hostile text can still not run it.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
GUARDS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
_CENT = 10_000_000
"""Nano-dollars."""
_HEADERS = {
    **GUARDS,
    "cache-control": "private, no-cache",
    "vary": "accept-encoding, cookie, authorization",
}


class Pages:
    """Templates of the console and the assets that they refer to."""

    def __init__(
        self, sections: Sequence[tuple[str, str]] = (("Models", "/models"),), can_sign_in: bool = False
    ) -> None:
        """``sections``: names and paths of the main navigation, only of what is served."""
        self.assets = Assets()
        self._templates = Environment(
            loader=PackageLoader("inhouse.console"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals.update(asset=self.assets.url, sections=list(sections), can_sign_in=can_sign_in)
        self._templates.filters.update(
            breakable=_breakable,
            bytes=_bytes,
            count=lambda number: f"{number:,}",
            day=day,
            dollars=format_dollars,
            dollars_short=format_dollars_short,
            dollars_up=lambda nanos: format_dollars(-(-nanos // _CENT) * _CENT),
            moment=_moment,
            rate=_rate,
            title_of=lambda metric: str(metric).replace("_", " ").capitalize(),
            when=_when,
        )

    def answer(self, request: Request, template: str, status: int = 200, /, **context: Any) -> Response:
        """The template as a page; 304 when the browser already shows the same."""
        body = self.render(template, **context).encode()
        headers = dict(_HEADERS)
        digest = hashlib.sha256(body).hexdigest()[:16]
        if takes_gzip(request):
            body = gzip.compress(body, 5, mtime=0)
            headers["content-encoding"] = "gzip"
            digest += "-gzip"
        response = HTMLResponse(body, status, headers)
        return conditional(request, response, f'"{digest}"') if status == 200 else response

    def render(self, template: str, /, **context: Any) -> str:
        return self._templates.get_template(template).render({"viewer": None, "here_in": "", **context})


def _breakable(path: str) -> Markup:
    """A path that a narrow column may break after its slashes."""
    return Markup("/<wbr>").join(path.split("/"))


def _bytes(number: int) -> str:
    """``1.4 GB``."""
    for unit in ("bytes", "KB", "MB", "GB"):
        if number < 1000:
            return f"{number:,.0f} bytes" if unit == "bytes" else f"{number:.3g} {unit}"
        number = number / 1000  # type: ignore[assignment]
    return f"{number:,.1f} TB"


def _moment(value: datetime) -> str:
    value = value.astimezone(UTC)
    return f"{day(value)}, {value:%H:%M} UTC"


def _when(seconds: int) -> Markup:
    """A moment on a page that says once that its times are UTC."""
    at = datetime.fromtimestamp(seconds, UTC)
    return Markup('<time datetime="{}">{}, {}</time>').format(f"{at:%Y-%m-%dT%H:%M:%SZ}", day(at), f"{at:%H:%M}")


def _rate(tokens_per_second: float) -> str:
    return f"{tokens_per_second:,.0f}" if tokens_per_second >= 100 else f"{tokens_per_second:.1f}".removesuffix(".0")
