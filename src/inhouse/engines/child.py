"""The child's half of a supervised engine; the parent's half is ``engines.supervisor``.

What passes between them, one JSON object a line:

    parent → stdin   {"key": secret for the HTTP face, "config": the engine's own settings}, once; then stdin stays open
    child  → stdout  {"url": "http://127.0.0.1:PORT"} once it listens
    child  → stderr  its log

The end of stdin means that the parent is gone, however it went, and the child leaves at once.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from typing import Any

import msgspec

PR_SET_PDEATHSIG = 1


class Handshake(msgspec.Struct):
    """What the parent hands over. It never appears on a command line or in an environment."""

    key: str
    config: Any = None


class Announcement(msgspec.Struct):
    """What the child tells once it listens."""

    url: str


class Parent:
    """The connection to the supervisor.

    Takes over stdin and stdout: whatever libraries print to stdout goes to the log instead.

    Raises:
        EOFError: the parent left before it handed over its settings.
        msgspec.DecodeError: stdin does not start with a handshake.
    """

    def __init__(self) -> None:
        self._out = os.dup(1)
        os.set_inheritable(self._out, False)
        os.dup2(2, 1)
        _die_with_parent()
        line = sys.stdin.buffer.readline()
        if not line:
            raise EOFError("no handshake on stdin")
        self.handshake = msgspec.json.decode(line, type=Handshake)
        threading.Thread(target=self._watch, name="parent-watch", daemon=True).start()

    def announce(self, url: str) -> None:
        """Tell where the engine listens. The parent asks its health next."""
        os.write(self._out, msgspec.json.encode(Announcement(url)) + b"\n")

    @staticmethod
    def wait() -> None:
        """Sleep for as long as the parent wants this engine."""
        while True:
            signal.pause()

    @staticmethod
    def _watch() -> None:
        while os.read(0, 4096):
            pass
        os._exit(0)  # No cleanup: native threads may hold locks, and nothing here outlives the process.


def _die_with_parent() -> None:
    """Ask Linux for SIGKILL when the parent dies; elsewhere the watch on stdin does it, if native code lets it run."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
