"""The older major version of the official SDK, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from .running import Server

SCRIPT = Path(__file__).with_name("old_sdk.py")
PACKAGES = Path(sys.prefix) / "official-2"


def test_the_older_sdk(server: Server) -> None:
    assert PACKAGES.is_dir(), f"{PACKAGES} is missing: `make test` installs requirements/official-2.txt there"
    environment = {
        **os.environ,
        "PYTHONPATH": str(PACKAGES),
        "OPENAI_BASE_URL": server.base_url,
        "OPENAI_API_KEY": server.key,
    }
    done = subprocess.run([sys.executable, SCRIPT], env=environment, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split()[-1] == "2.54.0"
