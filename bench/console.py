"""What a page of the console costs a browser: first paint, time of the server, bytes.

    python -m bench.console [--rounds 5] [--write]

A server of its own, filled as the tests of the console fill it, and Debian's Chromium, signed in, on the same machine.
*First visit*: nothing in the browser's cache. *Later*: stylesheets, scripts and the icon are cached, as they stay for
a year under names with their digest; the page itself is always asked for.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import sys
import tempfile
from pathlib import Path
from statistics import median

import msgspec
from playwright.async_api import CDPSession
from tests.chromium import Tab, chromium
from tests.console.seeding import Seeded, new_server, sign_in, start
from tests.console.test_pages import PAGES, WIDE
from tests.ecosystem.model import rule_model

from bench.report import table, write_section

LARGEST = "/reference/responses"
"""The page with most to show; the tests look at a smaller one of its kind."""
FACTS = """new Promise(async done => {
  let paint;
  while (!(paint = performance.getEntriesByName('first-contentful-paint')[0])) await new Promise(requestAnimationFrame);
  const page = performance.getEntriesByType('navigation')[0];
  const loaded = performance.getEntriesByType('resource');
  const scripts = loaded.filter(each => each.initiatorType === 'script');
  const sum = (of, which) => of.reduce((all, each) => all + each[which], 0);
  done(JSON.stringify({
    paint: paint.startTime,
    server: page.responseStart - page.requestStart,
    script: sum(scripts, 'decodedBodySize'),
    sent: page.transferSize + sum(loaded, 'transferSize'),
  }));
})"""


class Visit(msgspec.Struct, frozen=True):
    """One load of a page. ``paint``, ``server``: milliseconds; ``script``: bytes of JavaScript; ``sent``: by wire."""

    paint: float
    server: float
    script: int
    sent: int


async def visit(tab: Tab, protocol: CDPSession, url: str, *, cached: bool) -> Visit:
    await protocol.send("Network.setCacheDisabled", {"cacheDisabled": not cached})
    await tab.open(url)
    return msgspec.convert(json.loads(await tab.evaluate(FACTS)), Visit)


async def measure(seeded: Seeded, rounds: int) -> list[tuple[str, list[Visit], list[Visit]]]:
    found = []
    async with chromium() as tab:
        await tab.shape(WIDE)
        await sign_in(tab, seeded.root)
        protocol = await tab.page.context.new_cdp_session(tab.page)
        await protocol.send("Network.enable")
        for path in (*PAGES.values(), LARGEST):
            path = path.format(**vars(seeded))
            await visit(tab, protocol, seeded.root + path, cached=True)  # templates are compiled once in a process
            first = [await visit(tab, protocol, seeded.root + path, cached=False) for _ in range(rounds)]
            await visit(tab, protocol, seeded.root + path, cached=True)
            later = [await visit(tab, protocol, seeded.root + path, cached=True) for _ in range(rounds)]
            found.append((path, first, later))
            print(_line(path, first, later), flush=True)
    return found


def _line(path: str, first: list[Visit], later: list[Visit]) -> list[str]:
    return [
        f"`{_short(path)}`",
        f"{median(each.paint for each in first):.0f}",
        f"{median(each.paint for each in later):.0f}",
        f"{median(each.server for each in later):.0f}",
        f"{max(each.script for each in first) / 1000:.1f}",
        f"{median(each.sent for each in first) / 1000:.0f}",
    ]


def _short(path: str) -> str:
    """Without what is different each time."""
    head, _, last = path.partition("?")[0].rpartition("/")
    kind = re.match(r"(resp_|chatcmpl-|vs_)", last)
    return f"{head}/{kind[1]}…" if kind else path.split("&")[0]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, rule_model() as url:
        server = new_server(Path(folder) / "data")
        try:
            found = asyncio.run(measure(start(server, url), options.rounds))
        finally:
            server.stop()
    head = ["page", "first visit, ms", "later, ms", "server, ms", "JavaScript, KB", "first visit, KB sent"]
    paints = sorted(median(each.paint for each in visits) for _, *both in found for visits in both)
    text = "\n".join(
        [
            f"First contentful paint, median of {options.rounds} loads, of {len(found)} pages: "
            f"median {median(paints):.0f} ms, slowest {paints[-1]:.0f} ms. "
            f"Load of the machine at the end: {os.getloadavg()[0]:.1f}, on {os.cpu_count()} cores.",
            "",
            table(head, [_line(*each) for each in found]),
        ]
    )
    print(text)
    if options.write:
        write_section("console", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
