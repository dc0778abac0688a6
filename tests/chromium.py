"""A headless Chromium over its debugging protocol: just enough to use a page as a person does."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--hide-scrollbars",
    "--disable-background-networking",
)


KEYS = {"Tab": (9, ""), "Enter": (13, "\r"), "Escape": (27, "")}
"""By their names, the codes and texts that Chromium wants of them."""


class Page:
    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self.problems: list[str] = []
        """Exceptions, and what the content security policy stopped."""

    async def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        id = next(self._ids)
        await self._socket.send(json.dumps({"id": id, "method": method, "params": parameters}))
        while True:
            told = json.loads(await asyncio.wait_for(self._socket.recv(), 60))
            if told.get("id") == id:
                assert "error" not in told, told["error"]
                result: dict[str, Any] = told["result"]
                return result
            if told.get("method") == "Runtime.exceptionThrown":
                self.problems.append(str(told["params"]["exceptionDetails"]))
            elif told.get("method") == "Log.entryAdded" and told["params"]["entry"]["level"] == "error":
                self.problems.append(told["params"]["entry"]["text"])

    async def evaluate(self, script: str) -> Any:
        found = await self.ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    async def open(self, url: str) -> None:
        await self.ask("Page.navigate", url=url)
        await self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    async def until(self, condition: str, patience_s: float = 60) -> None:
        deadline = time.monotonic() + patience_s
        while not await self.evaluate(f"!!({condition})"):
            assert time.monotonic() < deadline, f"{condition} never came true; {self.problems}"
            await asyncio.sleep(0.05)

    async def fill(self, selector: str, text: str) -> None:
        await self.evaluate(f"document.querySelector({json.dumps(selector)}).value = {json.dumps(text)}")

    async def key(self, name: str, *, shift: bool = False) -> None:
        """One stroke on the keyboard: a key of ``KEYS``."""
        number, text = KEYS[name]
        told = {"key": name, "code": name, "windowsVirtualKeyCode": number, "modifiers": 8 if shift else 0}
        await self.ask("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **told)
        await self.ask("Input.dispatchKeyEvent", type="keyUp", **told)

    async def shape(self, width: int, height: int = 900, *, dark: bool = False) -> None:
        """As a window of this size, of a person who prefers dark or light."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.ask("Emulation.setEmulatedMedia", features=[scheme])
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        await self.ask("Emulation.setDeviceMetricsOverride", **size)

    async def picture(self, file: Path, width: int, height: int | None = None, *, dark: bool = False) -> None:
        await self.shape(width, height or 900, dark=dark)
        await asyncio.sleep(0.1)
        shot = await self.ask("Page.captureScreenshot", captureBeyondViewport=height is None)
        file.write_bytes(base64.b64decode(shot["data"]))


@asynccontextmanager
async def chromium() -> AsyncIterator[Page]:
    assert BROWSER is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [BROWSER, *FLAGS, "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            port_file = Path(profile) / "DevToolsActivePort"
            deadline = time.monotonic() + 60
            while not port_file.exists() or not port_file.read_text().strip():
                assert time.monotonic() < deadline, "Chromium did not start"
                await asyncio.sleep(0.05)
            port = port_file.read_text().split()[0]
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as listed:
                target = next(each for each in json.load(listed) if each["type"] == "page")
            async with connect(target["webSocketDebuggerUrl"], max_size=None) as socket:
                page = Page(socket)
                for domain in ("Page", "Runtime", "Log", "Network"):
                    await page.ask(f"{domain}.enable")
                yield page
        finally:
            process.terminate()
            process.wait(10)
