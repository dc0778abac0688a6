"""Uploaded audio to samples: 16 kHz, mono, float32, in blocks, so that no file can fill the memory.

The container is told from the file's first bytes and FFmpeg is held to that one demuxer: playlists and other formats
that name further files are never opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Literal

import av
import numpy as np
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

RATE = 16_000
"""Samples a second that Whisper, Silero and the speaker encoder were trained on."""
MIN_SECONDS = 0.1
PIECE_SECONDS = 300
SEARCH_SECONDS = 20
"""Before a piece's end, in which the quietest moment is looked for."""

Samples = NDArray[np.float32]
Container = Literal["wav", "flac", "ogg", "matroska", "mov", "mp3", "mpeg"]


class Undecodable(Exception):
    """The file is none of the formats, or damaged beyond reading. The message is fit for a log."""


class UnknownFormat(Undecodable):
    """The file begins like none of the formats."""


class WrongLength(Exception):
    """The audio is too short or too long.

    Attributes:
        seconds: its length, as far as it is known.
        limit: the bound that it breaks.
    """

    def __init__(self, seconds: float, limit: float) -> None:
        super().__init__(f"{seconds:.3f} s, of {limit} s")
        self.seconds = seconds
        self.limit = limit


def container_of(head: bytes) -> Container | None:
    """The container that a file begins as; ``head`` holds at least its first 12 bytes."""
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return "wav"
    if head[4:8] == b"ftyp":
        return "mov"
    for magic, container in _MAGIC:
        if head.startswith(magic):
            return container
    # The frame sync of MPEG audio, any layer but the reserved one, which AAC's own streams use.
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] & 0x06:
        return "mp3"
    return None


_MAGIC: tuple[tuple[bytes, Container], ...] = (
    (b"fLaC", "flac"),
    (b"OggS", "ogg"),
    (b"\x1a\x45\xdf\xa3", "matroska"),
    (b"ID3", "mp3"),
    (b"\x00\x00\x01\xba", "mpeg"),
)


def decode(file: IO[bytes], *, max_seconds: float | None = None) -> Iterator[Samples]:
    """Blocks of samples, as they are decoded. Damaged packets are left out, as players do.

    Raises:
        UnknownFormat: it begins like none of the formats.
        Undecodable: not one sample can be had of it.
        WrongLength: longer than ``max_seconds``; at once if the container tells its length.
    """
    container = container_of(file.read(64))
    file.seek(0)
    if container is None:
        raise UnknownFormat("the file begins like none of the formats")
    count = 0
    try:
        with av.open(file, mode="r", format=container, metadata_errors="ignore") as opened:
            if not opened.streams.audio:
                raise Undecodable("the file holds no audio")
            stream = opened.streams.audio[0]
            if max_seconds is not None and opened.duration is not None and opened.duration / 1e6 > max_seconds + 1:
                raise WrongLength(opened.duration / 1e6, max_seconds)
            resampler = AudioResampler(format="flt", layout="mono", rate=RATE)
            for frame in _frames(opened, stream):
                for out in resampler.resample(frame):
                    samples = out.to_ndarray().reshape(-1).astype(np.float32, copy=False)
                    count += samples.size
                    if max_seconds is not None and count > max_seconds * RATE:
                        raise WrongLength(count / RATE, max_seconds)
                    yield samples
            for out in resampler.resample(None) if count else []:
                samples = out.to_ndarray().reshape(-1).astype(np.float32, copy=False)
                count += samples.size
                yield samples
    except (av.FFmpegError, ValueError, OSError) as error:
        if not count:
            raise Undecodable(f"{container}: {error}") from error
    if not count:
        raise Undecodable(f"{container}: no audio could be decoded")


def _frames(opened: av.container.InputContainer, stream: av.AudioStream) -> Iterator[av.AudioFrame]:
    for packet in opened.demux(stream):
        try:
            yield from packet.decode()
        except av.error.InvalidDataError:
            continue


def pieces(blocks: Iterator[Samples], seconds: int = PIECE_SECONDS) -> Iterator[Samples]:
    """Blocks joined to pieces of at most ``seconds``, cut where it is quietest.

    Raises:
        WrongLength: all of it is shorter than ``MIN_SECONDS``.
    """
    most, held, size, given = seconds * RATE, [], 0, 0
    for block in blocks:
        held.append(block)
        size += block.size
        while size >= most:
            whole = np.concatenate(held)
            cut = quietest(whole[:most])
            yield whole[:cut]
            given += cut
            held, size = [whole[cut:]], size - cut
    if given + size < MIN_SECONDS * RATE:
        raise WrongLength((given + size) / RATE, MIN_SECONDS)
    if size:
        yield np.concatenate(held)


def quietest(samples: Samples) -> int:
    """Where to cut: the middle of the quietest tenth of a second near the end."""
    step = RATE // 10
    tail = samples[-SEARCH_SECONDS * RATE :]
    tail = tail[: tail.size // step * step].reshape(-1, step)
    loudness = np.square(tail).mean(axis=1)
    return int(samples.size - tail.size + int(loudness.argmin()) * step + step // 2)
