"""The ``inhouse`` command."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    # What is loaded stays: to look through it again and again would take a fifth of the time that loading takes.
    # ``commands.load`` turns it on again.
    gc.disable()
    try:
        from inhouse.cli.commands import app

        app()
    except KeyboardInterrupt:  # while it was loaded
        sys.exit(130)
