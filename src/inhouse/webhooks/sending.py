"""One attempt to deliver: bounded in time, in size and in where it may go."""

from __future__ import annotations

import time
from collections.abc import Iterable
from urllib.parse import urlsplit

import aiohttp
import msgspec

from inhouse.kit.addresses import PRIVATE, AddressRefused, Network, Reach
from inhouse.kit.connecting import guarded_connector
from inhouse.webhooks.signing import headers_of

TIMEOUT_S = 15.0
"""For connecting, sending and the status line together."""
USER_AGENT = "Inhouse-Webhooks/1.0"
GONE = 410


class Attempt(msgspec.Struct, frozen=True):
    """What came of it."""

    status: int | None
    """Of HTTP; None if there was no answer."""
    error: str | None = None
    """Why it does not count as delivered, in words."""

    @property
    def delivered(self) -> bool:
        return self.error is None


class Sender:
    """Posts signed events.

    Args:
        networks: that may be reached beside public addresses.
    """

    def __init__(self, networks: Iterable[Network] = (), *, timeout_s: float = TIMEOUT_S) -> None:
        allowed = tuple(networks)
        self._reach = Reach(allowed)
        self._operators_reach = Reach((*allowed, *PRIVATE))
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def send(self, url: str, id: str, body: bytes, signing: Iterable[str], *, operators: bool) -> Attempt:
        """Deliver an event once.

        Args:
            operators: whether an operator named the URL, so that it may be in a private network.
        """
        reach = self._operators_reach if operators else self._reach
        headers = {
            "content-type": "application/json",
            "user-agent": USER_AGENT,
            **headers_of(id, int(time.time()), body, signing),
        }
        try:
            reach.check_host(urlsplit(url).hostname or "")
            async with self._session(operators, reach).post(
                url, data=body, headers=headers, allow_redirects=False, timeout=self._timeout
            ) as response:
                return _judged(response.status)  # what else it says is not read
        except AddressRefused as error:
            return Attempt(None, str(error))
        except TimeoutError:
            return Attempt(None, f"no answer within {self._timeout.total:g} seconds")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Attempt(None, _words(error))

    def _session(self, operators: bool, reach: Reach) -> aiohttp.ClientSession:
        found = self._sessions.get(operators)
        if found is None:
            found = self._sessions[operators] = aiohttp.ClientSession(
                connector=guarded_connector(reach),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            )
        return found

    async def close(self) -> None:
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()


def _judged(status: int) -> Attempt:
    if 200 <= status < 300:
        return Attempt(status)
    if 300 <= status < 400:
        return Attempt(status, f"it answered {status}; redirects are not followed")
    return Attempt(status, f"it answered {status}")


def _words(error: Exception) -> str:
    """What went wrong, without the URL, which may hold a secret of the receiver."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, AddressRefused):
        return str(cause)
    if isinstance(cause, OSError) and cause.strerror:
        return f"it could not be reached: {cause.strerror}"
    return f"it could not be reached: {type(error).__name__}"
