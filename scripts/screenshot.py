"""Take a picture of a page in a headless Chromium.

python scripts/screenshot.py http://127.0.0.1:4141/models/gpt-4.1 model.png --width 1440 --height 3000 --dark
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--hide-scrollbars",
    "--virtual-time-budget=3000",
)


def main() -> int:
    options = _parser().parse_args()
    browser = options.browser or next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        print(f"no browser found; install one of: {', '.join(BROWSERS)}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [
            browser,
            *FLAGS,
            f"--user-data-dir={profile}",
            f"--window-size={options.width},{options.height}",
            f"--force-device-scale-factor={options.scale}",
            f"--screenshot={Path(options.out).resolve()}",
        ]
        if options.dark:
            command.append("--blink-settings=preferredColorScheme=0")
        finished = subprocess.run([*command, options.url], capture_output=True, text=True, timeout=60, check=False)
    if finished.returncode != 0 or not Path(options.out).exists():
        print(finished.stderr, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("out", help="the PNG to write")
    parser.add_argument("--width", type=int, default=1440, help="CSS pixels (default 1440)")
    parser.add_argument("--height", type=int, default=1000, help="CSS pixels (default 1000)")
    parser.add_argument("--scale", type=float, default=1, help="device pixels for each CSS pixel (default 1)")
    parser.add_argument("--dark", action="store_true", help="as a reader who prefers dark")
    parser.add_argument("--browser", help="path of the browser, when it is not on PATH")
    return parser


if __name__ == "__main__":
    sys.exit(main())
