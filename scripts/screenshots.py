"""Take the pictures of the README and the docs: python scripts/screenshots.py

It starts a server of its own on a new data folder, with the models that Inhouse comes with, fills it as the tests of
the console do, and uses it in a headless Chromium. The pictures go to docs/images.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.chromium import Tab, chromium  # noqa: E402
from tests.console.seeding import Seeded, new_server, sign_in, start  # noqa: E402

IMAGES = ROOT / "docs" / "images"
WIDE, HIGH, NARROW = 1440, 900, 390
TALK_S = 240.0
PICTURES = {
    "gpt-4.1": ("/models/gpt-4.1", False),
    "console-dashboard": ("/dashboard", False),
    "console-store": ("/dashboard/stores/{store}?q=coffee", False),
    "console-engines": ("/dashboard/engines", True),
    "console-reference": ("/reference/responses", False),
}


async def take(seeded: Seeded) -> None:
    async with chromium() as tab:
        await tab.shape(WIDE, HIGH)
        await sign_in(tab, seeded.root)
        for name, (path, dark) in PICTURES.items():
            await tab.open(seeded.root + path.format(**vars(seeded)))
            await tab.picture(IMAGES / f"{name}.png", WIDE, HIGH, dark=dark)
        await tab.open(f"{seeded.root}/dashboard")
        await tab.picture(IMAGES / "console-phone.png", NARROW, HIGH, dark=True)
        await _playground(tab, seeded)


async def _playground(tab: Tab, seeded: Seeded) -> None:
    await tab.shape(WIDE, HIGH)
    await tab.open(f"{seeded.root}/playground?model=gpt-4.1")
    await tab.click("[data-add]")
    await tab.fill("[data-set=instructions]", "Answer in two sentences.")
    await tab.fill("[data-set=max_output_tokens]", "80")
    await tab.fill("[data-say]", "Why is the sky blue?")
    await tab.click("[data-send]")
    await tab.until("!document.querySelector('[data-send]').disabled", TALK_S)
    await tab.picture(IMAGES / "console-playground.png", WIDE, HIGH)


def main() -> int:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        server = new_server(Path(folder) / "data")
        try:
            seeded = start(server, None)
            evaluate = [sys.executable, "-m", "inhouse.cli", "models", "evaluate", "gpt-4.1"]
            where = ["--base-url", server.base_url, "--data-dir", str(server.data_dir)]
            environment = {**server.environment, "OPENAI_API_KEY": server.key}
            subprocess.run([*evaluate, *where], env=environment, check=True)
            asyncio.run(take(seeded))
        finally:
            server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
