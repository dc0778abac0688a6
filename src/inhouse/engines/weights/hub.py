"""Files of a model hub, over HTTP with ranges.

The endpoint is ``HF_ENDPOINT`` or the public hub; ``HF_HUB_OFFLINE`` is honoured, and so are the usual proxy variables.
A hub that cannot be reached is not asked again for a while: the next source is near.
"""

from __future__ import annotations

import functools
import http.client
import os
import re
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from urllib.parse import quote, urlsplit

from inhouse import __version__
from inhouse.engines.weights.errors import SourceFailed
from inhouse.engines.weights.growing import CHUNK, Growing
from inhouse.engines.weights.manifest import HubSource

DEFAULT_ENDPOINT = "https://huggingface.co"
CONNECT_SECONDS = 5.0
"""For name, connection and TLS together."""
READ_SECONDS = 20.0
"""Silence in the middle of a file after which the connection counts as dropped."""
FORGET_SECONDS = 600.0
"""How long a hub that could not be reached is left alone."""
FRUITLESS = 3
"""Dropped connections in a row that brought nothing new, after which the next source is tried."""


class _Dropped(Exception):
    """The connection ended before the file did."""


class Hub:
    """One endpoint, and whether it could be reached lately.

    Args:
        endpoint: ``https://host`` without a trailing slash.
    """

    def __init__(
        self, endpoint: str, *, connect_seconds: float = CONNECT_SECONDS, read_seconds: float = READ_SECONDS
    ) -> None:
        self.endpoint = endpoint.rstrip("/")
        self.host = urlsplit(self.endpoint).hostname or self.endpoint
        self._connect_seconds = connect_seconds
        self._opener = _opener(connect_seconds, read_seconds)
        self._unreachable: tuple[str, float] | None = None

    def fetch(self, source: HubSource, growing: Growing) -> None:
        """Goes on with ``growing`` until it has as many bytes as the manifest names.

        Raises:
            SourceFailed: the hub cannot be reached, does not have the file, or keeps dropping the connection.
        """
        if os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on"):
            raise SourceFailed("HF_HUB_OFFLINE is set")
        if self._unreachable is not None:
            reason, since = self._unreachable
            if time.monotonic() - since < FORGET_SECONDS:
                raise SourceFailed(reason)
            self._unreachable = None
        growing.load()
        url = f"{self.endpoint}/{quote(source.repository)}/resolve/{source.revision}/{quote(source.path)}"
        furthest, fruitless = growing.size, 0
        while growing.size < growing.file.bytes:
            try:
                self._stream(url, growing)
            except _Dropped as drop:
                fruitless = 0 if growing.size > furthest else fruitless + 1
                furthest = max(furthest, growing.size)
                if fruitless >= FRUITLESS:
                    raise SourceFailed(f"{self.host} keeps dropping the connection: {drop}") from drop
                time.sleep(0.2 * 2**fruitless)

    def _stream(self, url: str, growing: Growing) -> None:
        """One request, from where the file ends so far."""
        headers = {"User-Agent": f"inhouse/{__version__}", "Accept-Encoding": "identity"}
        if growing.size:
            headers["Range"] = f"bytes={growing.size}-"
        request = urllib.request.Request(url, headers=headers)  # noqa: S310  (the opener knows http and https only)
        try:
            response = self._opener.open(request, timeout=self._connect_seconds)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 416:
                growing.clear()
                raise _Dropped("it refused the range") from error
            raise SourceFailed(f"{self.host} answers {error.code} {error.reason}") from error
        except urllib.error.URLError as error:
            raise self._gone(error.reason) from error
        except TimeoutError as error:
            raise self._gone("it accepts the connection and does not answer") from error
        except (http.client.HTTPException, OSError) as error:
            raise _Dropped(str(error) or type(error).__name__) from error
        with response:
            self._place(response.status, response.headers, growing)
            while chunk := self._read(response):
                growing.write(chunk)
                growing.report("downloading")
        if growing.size < growing.file.bytes:
            raise _Dropped(f"it ended after {growing.size} of {growing.file.bytes} bytes")

    def _read(self, response: http.client.HTTPResponse) -> bytes:
        try:
            return response.read(CHUNK)
        except (http.client.HTTPException, OSError) as error:
            raise _Dropped(str(error) or type(error).__name__) from error

    def _place(self, status: int, headers: http.client.HTTPMessage, growing: Growing) -> None:
        """Makes sure that the answer goes on where the file ends, and belongs to a file of that size."""
        if status == 206:
            match = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", headers.get("Content-Range", ""))
            if match is None or int(match[1]) != growing.size:
                raise SourceFailed(f"{self.host} answers with another range than asked for")
            total = match[2]
        else:
            total = headers.get("Content-Length", "unknown")
        if total != str(growing.file.bytes):
            raise SourceFailed(f"{self.host} has a file of {total} bytes, the manifest names {growing.file.bytes}")
        if status != 206:
            growing.clear()

    def _gone(self, reason: object) -> SourceFailed:
        if isinstance(reason, TimeoutError):
            why = f"no connection within {self._connect_seconds:.0f} s"
        else:
            why = getattr(reason, "strerror", None) or str(reason)
        text = f"{self.host} cannot be reached ({why})"
        self._unreachable = (text, time.monotonic())
        return SourceFailed(text)


@functools.cache
def _hub_at(endpoint: str) -> Hub:
    return Hub(endpoint)


def configured_hub() -> Hub:
    """The hub that the environment names; the same object all through the process."""
    return _hub_at(os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT)


def _within(seconds: float, connect: Callable[[], None]) -> None:
    """Runs ``connect`` for at most so long: a socket's own time-out leaves out the resolver and counts each address."""
    failed: list[BaseException] = []

    def attempt() -> None:
        try:
            connect()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=attempt, daemon=True, name="hub-connect")
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError("timed out")
    if failed:
        raise failed[0]


def _opener(connect_seconds: float, read_seconds: float) -> urllib.request.OpenerDirector:
    """An opener for http and https only, with proxies and redirects, and a time-out of its own for connecting."""

    class PlainConnection(http.client.HTTPConnection):
        def connect(self) -> None:
            _within(connect_seconds, super().connect)
            self.sock.settimeout(read_seconds)

    class SecureConnection(http.client.HTTPSConnection):
        def connect(self) -> None:
            _within(connect_seconds, super().connect)
            self.sock.settimeout(read_seconds)

    class PlainHandler(urllib.request.HTTPHandler):
        def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(PlainConnection, req)

    class SecureHandler(urllib.request.HTTPSHandler):
        def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(SecureConnection, req, context=ssl.create_default_context())

    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        PlainHandler(),
        SecureHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener
