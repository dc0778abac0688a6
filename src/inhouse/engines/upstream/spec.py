"""What a deployment says of its servers, and what a client of them reports and raises."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from inhouse.engines.protocol import EngineFailed

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OWN_HEADERS = {"host", "content-length", "transfer-encoding", "connection", "accept-encoding"}


class Target(msgspec.Struct, frozen=True, omit_defaults=True):
    """One server. ``url`` is the base that SDKs take, with its ``/v1``; ``model`` the name it knows the model by."""

    url: str
    model: str | None = None
    key_env: str | None = None
    """Name of the environment variable that holds the API key. The key itself is never stored."""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"upstream url must start with http:// or https:// and name a host: {self.url!r}")
        if parts.username or parts.password:
            raise ValueError("upstream url must not hold a password; name the variable with the key instead")
        if parts.query or parts.fragment or not self.url.isascii() or not self.url.isprintable() or " " in self.url:
            raise ValueError(f"upstream url must be a plain base url: {self.url!r}")
        parts.port  # noqa: B018  raises ValueError when out of range


class UpstreamSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Servers of the same model, in order of preference. Times are in seconds.

    Raises:
        ValueError: on construction (``msgspec.ValidationError`` on decoding) when a value cannot be used.
    """

    targets: list[Target]
    connect_timeout: float = 5.0
    first_byte_timeout: float = 600.0
    """From the request to the first byte of the answer; one that is not streamed is silent until it is whole."""
    stall_timeout: float = 120.0
    """Between two reads of an answer that has begun. Time that the consumer takes does not count."""
    max_connections: int = 1024
    """Of each target. More requests than that are refused with ``EngineBusy``."""
    idle_timeout: float = 60.0
    """After which an unused connection is closed."""
    retries: int = 2
    """Further attempts after the first, on other targets as long as there are any."""
    max_answer_bytes: int = 256 << 20
    """Of an answer that is not streamed."""
    headers: dict[str, str] = {}

    def __post_init__(self) -> None:
        if not self.targets:
            raise ValueError("an upstream needs at least one target")
        times = (self.connect_timeout, self.first_byte_timeout, self.stall_timeout, self.idle_timeout)
        if any(seconds <= 0 for seconds in times) or self.max_connections < 1 or self.retries < 0:
            raise ValueError("timeouts and max_connections must be above zero, retries not below")
        check_headers(self.headers)


class UpstreamAnswer(msgspec.Struct, frozen=True):
    """A whole answer with a status of 2xx. Header names are in lower case."""

    status: int
    body: bytes
    headers: dict[str, str]


class UpstreamModel(msgspec.Struct, frozen=True):
    """A model as a server lists it, with the window in tokens where the server tells it."""

    id: str
    window: int | None
    url: str


class TargetStatus(msgspec.Struct, frozen=True):
    """The circuit of one target: ``closed`` takes requests, ``open`` is put aside, ``half_open`` takes one to try."""

    url: str
    state: Literal["closed", "open", "half_open"]
    in_flight: int
    failures: int
    """In a row."""
    retry_in: float
    """Seconds until an open circuit is tried again."""
    connections: int
    last_error: str | None


class UpstreamError(EngineFailed):
    """The server answered with an error: a status outside 2xx, or an error inside a stream, whose code is the status.

    ``body`` is the server's JSON, for the faces to translate; it may quote the request, so it is not in the message.
    """

    def __init__(self, url: str, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{url} answered {status}")
        self.url = url
        self.status = status
        self.body = body
        self.headers = dict(headers or {})

    @property
    def transient(self) -> bool:
        """Another server, or this one later, may answer better."""
        return self.status in (408, 429) or (self.status >= 500 and self.status not in (501, 505))

    @property
    def retry_after(self) -> float | None:
        """Seconds the server asked for, by ``retry-after-ms`` or ``retry-after`` in seconds; None if it did not."""
        for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
            try:
                seconds = float(self.headers[name]) / unit
            except (KeyError, ValueError):
                continue
            if 0 <= seconds < float("inf"):
                return seconds
        return None


def check_headers(headers: Mapping[str, str]) -> None:
    """Raises ``ValueError`` for a header that would break the request apart or that belongs to the connection."""
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _OWN_HEADERS:
            raise ValueError(f"header {name!r} cannot be set")
        if not all(char == "\t" or (" " <= char <= "\xff" and char != "\x7f") for char in value):
            raise ValueError(f"header {name!r} holds characters that no header may have")
