"""Samples of speech to the formats that the contract names, piece by piece, so that a listener hears the first words
before the last ones are spoken."""

from __future__ import annotations

import io
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from inhouse.engines.audio.formats import RATE, Format

_MUXED: dict[Format, tuple[str, str, int, int | None, dict[str, str]]] = {
    # Format: container, codec, samples a second, bits a second, options of the container.
    "mp3": ("mp3", "libmp3lame", 24_000, 64_000, {"write_xing": "0", "id3v2_version": "0"}),
    "opus": ("ogg", "libopus", 48_000, 48_000, {"page_duration": "200000"}),
    "aac": ("adts", "aac", 24_000, 64_000, {}),
    "flac": ("flac", "flac", 24_000, None, {}),
}


class Encoder:
    """One utterance on its way to bytes.

    Args:
        format: of the bytes. ``wav`` and ``pcm`` are 16-bit, mono, 24 kHz; the length in a WAV header is left open, as
            it is not known when the first bytes leave.
    """

    def __init__(self, format: Format) -> None:
        self._muxed = _Muxed(format) if format in _MUXED else None
        self._head = _wav_header() if format == "wav" else b""

    def add(self, samples: NDArray[np.float32]) -> bytes:
        """Bytes that are ready after ``samples`` (mono, 24 kHz, -1 to 1); an encoder may hold some back."""
        whole = (np.clip(samples, -1.0, 1.0) * 32767).astype("<i2")
        if self._muxed is not None:
            return self._muxed.add(whole)
        head, self._head = self._head, b""
        return head + whole.tobytes()

    def end(self) -> bytes:
        """The last bytes."""
        return self._muxed.end() if self._muxed is not None else self._head

    def close(self) -> None:
        if self._muxed is not None:
            self._muxed.close()


class _Outlet(io.RawIOBase):
    """What the muxer writes to. It cannot seek, so nothing that was written is ever changed."""

    def __init__(self) -> None:
        self._written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        self._written += bytes(data)  # type: ignore[call-overload]
        return len(bytes(data))  # type: ignore[call-overload]

    def take(self) -> bytes:
        taken = bytes(self._written)
        self._written.clear()
        return taken


class _Muxed:
    def __init__(self, format: Format) -> None:
        container, codec, rate, bits, options = _MUXED[format]
        self._outlet = _Outlet()
        self._container = av.open(self._outlet, mode="w", format=container, options={**options, "flush_packets": "1"})
        stream: Any = self._container.add_stream(codec, rate=rate, layout="mono")
        if bits:
            stream.bit_rate = bits
        self._stream = stream
        self._closed = False

    def add(self, samples: NDArray[np.int16]) -> bytes:
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = RATE
        self._container.mux(self._stream.encode(frame))
        return self._outlet.take()

    def end(self) -> bytes:
        self._container.mux(self._stream.encode(None))
        self.close()
        return self._outlet.take()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._container.close()


def _wav_header() -> bytes:
    unknown = (0xFFFFFFFF).to_bytes(4, "little")
    fields = b"".join(
        value.to_bytes(size, "little")
        for value, size in ((16, 4), (1, 2), (1, 2), (RATE, 4), (RATE * 2, 4), (2, 2), (16, 2))
    )
    return b"RIFF" + unknown + b"WAVEfmt " + fields + b"data" + unknown
