from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from inhouse.files.fetching import Fetcher, FetchError, TooLarge
from inhouse.kit.addresses import AddressRefused, Reach


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/",
        "http://localhost:1/",
        "http://[::1]:1/",
        "http://[::ffff:127.0.0.1]:1/",
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1/",
        "http://2130706433/",
        "http://0x7f.1/",
        "file:///etc/passwd",
        "ftp://example.com/",
        "nonsense",
        "http://",
    ],
)
async def test_only_public_addresses_are_reached(url: str) -> None:
    with pytest.raises(FetchError):
        await Fetcher().fetch(url, 1000)


async def test_what_is_refused_is_there_where_it_is_allowed() -> None:
    """So the refusals above are not of servers that do not answer."""
    async with serving(lambda request: web.Response(body=b"inside", content_type="text/plain")) as port:
        for host in ("127.0.0.1", "localhost"):
            url = f"http://{host}:{port}/a%20b.txt"
            assert await Fetcher("any").fetch(url, 6) == (b"inside", "text/plain", "a b.txt")
            with pytest.raises(TooLarge):
                await Fetcher("any").fetch(url, 5)
            with pytest.raises(FetchError, match="Error while downloading"):
                await Fetcher().fetch(url, 6)


async def test_a_redirect_is_looked_at_as_the_first_address_was(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        raise web.HTTPFound(f"http://127.0.0.1:{request.url.port}/secret")

    async with serving(answer) as port:
        monkeypatch.setattr("inhouse.kit.addresses.Reach.allows", lambda reach, address: True)
        monkeypatch.setattr("inhouse.kit.addresses.Reach.check_host", refuse_literal)
        with pytest.raises(FetchError):
            await Fetcher().fetch(f"http://localhost:{port}/public", 100)
    assert asked == ["/public"]


def refuse_literal(reach: Reach, host: str) -> None:
    if host[0].isdigit():
        raise AddressRefused(host)


@asynccontextmanager
async def serving(answer: Callable[[web.Request], web.Response]) -> AsyncIterator[int]:
    async def handle(request: web.Request) -> web.Response:
        return answer(request)

    app = web.Application()
    app.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def test_nothing_is_reached_when_it_is_off() -> None:
    with pytest.raises(FetchError, match="does not download"):
        await Fetcher("off").fetch("https://example.com", 1000)
