"""Debian's Chromium, driven by Playwright: its package brings the driver, and no browser is downloaded."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Locator, Page, async_playwright, expect

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
PATIENCE_S = 60
expect.set_options(timeout=PATIENCE_S * 1000)


class Tab:
    """A page, and what went wrong in it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.problems: list[str] = []
        """Exceptions, failed loads, and what the content security policy stopped."""
        page.set_default_timeout(PATIENCE_S * 1000)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", lambda told: self.problems.append(told.text) if told.type == "error" else None)

    async def evaluate(self, script: str) -> Any:
        return await self.page.evaluate(script)

    async def open(self, url: str) -> None:
        await self.page.goto(url)

    async def until(self, condition: str, patience_s: float = PATIENCE_S) -> None:
        await self.page.wait_for_function(f"() => !!({condition})", timeout=patience_s * 1000)

    async def click(self, selector: str) -> None:
        await (await self._unfolded(self.page.locator(selector).first)).click()

    async def press(self, text: str, within: str = "main") -> None:
        """The first button that begins with this."""
        saying = re.compile(rf"^\s*{re.escape(text)}")
        button = self.page.locator(within).locator("button").filter(has_text=saying).first
        await (await self._unfolded(button)).click()

    async def fill(self, selector: str, text: str) -> None:
        field = await self._unfolded(self.page.locator(selector).first)
        if await field.evaluate("field => field.tagName === 'SELECT'"):
            await field.select_option(text)
        else:
            await field.fill(text)

    async def _unfolded(self, found: Locator) -> Locator:
        """As a person gets to it: what is folded around it is opened."""
        await found.wait_for(state="attached")
        folds = found.locator("xpath=ancestor::details[not(@open)]")
        while await folds.count():
            await folds.first.locator("> summary").click()
        return found

    async def shape(self, width: int, height: int = 900, *, dark: bool = False) -> None:
        """As a window of this size, of a person who prefers dark or light."""
        await self.page.emulate_media(color_scheme="dark" if dark else "light")
        await self.page.set_viewport_size({"width": width, "height": height})

    async def picture(self, file: Path, width: int, height: int | None = None, *, dark: bool = False) -> None:
        """Of the whole page, or of a window."""
        await self.shape(width, height or 900, dark=dark)
        await asyncio.sleep(0.1)
        await self.page.screenshot(path=file, full_page=height is None)


@asynccontextmanager
async def chromium() -> AsyncIterator[Tab]:
    assert BROWSER is not None
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=BROWSER, args=["--disable-gpu"])
        try:
            yield Tab(await browser.new_page())
        finally:
            await browser.close()
