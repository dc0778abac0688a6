"""Server-sent events as chat servers send them: pieces of a byte stream in, ``data`` payloads out."""

from __future__ import annotations

import msgspec

from inhouse.engines.protocol import EngineFailed

MAX_EVENT_BYTES = 32 << 20
_decode = msgspec.json.decode


class EventSplitter:
    """Splits a stream into payloads, whatever the bytes it is cut at. Line ends may be LF, CRLF or CR.

    ``done`` is set by ``[DONE]`` or by an error, whose JSON is then in ``error``; what follows either is ignored.
    """

    def __init__(self) -> None:
        self.done = False
        self.error: bytes | None = None
        self._parts: list[bytes] = []
        self._size = 0
        self._last = b""
        self._held_cr = False

    def feed(self, data: bytes) -> list[bytes]:
        """Payloads of the events that ``data`` completes.

        Raises:
            EngineFailed: one event is larger than ``MAX_EVENT_BYTES``.
        """
        if self._held_cr or b"\r" in data:
            data = self._line_feeds(data)
        if self._parts:
            # The join waits for an event's end, so that an event in a thousand pieces is copied once.
            if b"\n\n" not in self._last + data:
                self._keep(data)
                return []
            self._parts.append(data)
            data = b"".join(self._parts)
            self._parts.clear()
            self._size = 0
        events = data.split(b"\n\n")
        if rest := events.pop():
            self._keep(rest)
        payloads: list[bytes] = []
        for event in events:
            payload = event[6:] if event.startswith(b"data: ") and b"\n" not in event else self._fields(event)
            if payload == b"[DONE]":
                self.done = True
            elif b'"error"' in payload[:24] and self._is_error(payload):
                self.error = self.error or payload
                self.done = True
            elif payload:
                payloads.append(payload)
            if self.done:
                break
        return payloads

    def _keep(self, data: bytes) -> None:
        if not data:
            return
        self._parts.append(data)
        self._size += len(data)
        self._last = data[-1:]
        if self._size > MAX_EVENT_BYTES:
            raise EngineFailed(f"the upstream sent an event of more than {MAX_EVENT_BYTES} bytes")

    def _line_feeds(self, data: bytes) -> bytes:
        """A carriage return at the end is held back: its line feed may come with the next bytes."""
        if self._held_cr:
            data = b"\r" + data
        self._held_cr = data.endswith(b"\r")
        if self._held_cr:
            data = data[:-1]
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _fields(self, event: bytes) -> bytes:
        values: list[bytes] = []
        for line in event.split(b"\n"):
            name, _, value = line.partition(b":")
            if name == b"data":
                values.append(value.removeprefix(b" "))
            elif name == b"error":  # older llama.cpp servers put the error into a field of its own
                self.error = value.strip()
                self.done = True
        return b"\n".join(values)

    @staticmethod
    def _is_error(payload: bytes) -> bool:
        try:
            decoded = _decode(payload)
        except msgspec.DecodeError:
            return False
        return isinstance(decoded, dict) and (bool(decoded.get("error")) or decoded.get("object") == "error")


def error_status(payload: bytes) -> int:
    """The status that an error inside a stream stands for: its numeric ``code``, else 500."""
    try:
        decoded = _decode(payload)
    except msgspec.DecodeError:
        return 500
    error = decoded.get("error", decoded) if isinstance(decoded, dict) else None
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) and 400 <= code <= 599 else 500
