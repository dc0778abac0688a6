from __future__ import annotations

import io
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inhouse.engines.audio.decoding import (
    RATE,
    Undecodable,
    UnknownFormat,
    WrongLength,
    container_of,
    decode,
    pieces,
    quietest,
)
from inhouse.engines.audio.encoding import Encoder
from inhouse.engines.audio.formats import FORMATS, Format
from inhouse.engines.audio.formats import RATE as SPOKEN

TONE = 440.0


def tone(seconds: float, rate: int = SPOKEN) -> Any:
    return (0.3 * np.sin(2 * np.pi * TONE * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def encoded(format: Format, samples: Any) -> list[bytes]:
    encoder = Encoder(format)
    return [*(encoder.add(part) for part in np.array_split(samples, 6)), encoder.end()]


def muxed(container: str, codec: str, seconds: float = 1.0, rate: int = 48_000, layout: str = "stereo") -> bytes:
    """A file as some other program makes it."""
    out = io.BytesIO()
    channels = 2 if layout == "stereo" else 1
    with av.open(out, "w", format=container) as opened:
        stream: Any = opened.add_stream(codec, rate=rate, layout=layout)
        samples = np.repeat(tone(seconds, rate)[None, :], channels, axis=0)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
        frame.sample_rate = rate
        opened.mux(stream.encode(frame))
        opened.mux(stream.encode(None))
    return out.getvalue()


def heard(data: bytes) -> tuple[float, float]:
    """Seconds, and the strongest frequency."""
    samples = np.concatenate(list(pieces(decode(io.BytesIO(data)))))
    spectrum = np.abs(np.fft.rfft(samples))
    return samples.size / RATE, float(spectrum.argmax()) * RATE / samples.size


@pytest.mark.parametrize("format", ["mp3", "opus", "flac", "wav"])
def test_what_is_encoded_is_heard_again(format: Format) -> None:
    seconds, frequency = heard(b"".join(encoded(format, tone(2))))
    assert seconds == pytest.approx(2, abs=0.1)
    assert frequency == pytest.approx(TONE, abs=2)


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_gives_bytes_before_its_end(format: Format) -> None:
    parts = encoded(format, tone(2))
    assert all(parts[:-1])


def test_pcm_is_16_bit_little_endian_without_a_header() -> None:
    data = b"".join(encoded("pcm", np.array([0.0, 1.0, -1.0, 2.0, -2.0, 0.5] * 4, np.float32)))
    assert np.frombuffer(data, "<i2")[:6].tolist() == [0, 32767, -32767, 32767, -32767, 16383]


def test_aac_is_a_stream_of_its_own() -> None:
    data = b"".join(encoded("aac", tone(1)))
    assert data[:2] in (b"\xff\xf1", b"\xff\xf9")
    assert container_of(data) is None  # which the contract does not take


@pytest.mark.parametrize(
    ("container", "codec"),
    [
        ("mp3", "libmp3lame"),
        ("mp4", "aac"),
        ("ipod", "aac"),
        ("webm", "libopus"),
        ("ogg", "libopus"),
        ("wav", "pcm_s16le"),
        ("flac", "flac"),
        ("mpeg", "mp2"),
    ],
)
def test_every_format_of_the_contract_is_decoded(container: str, codec: str) -> None:
    data = muxed(container, codec) if codec not in ("pcm_s16le", "flac", "mp2") else _integer(container, codec)
    seconds, frequency = heard(data)
    assert seconds == pytest.approx(1, abs=0.1)
    assert frequency == pytest.approx(TONE, abs=3)


def _integer(container: str, codec: str) -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format=container) as opened:
        stream: Any = opened.add_stream(codec, rate=48_000, layout="stereo")
        samples = (np.repeat(tone(1.0, 48_000), 2)[None, :] * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
        frame.sample_rate = 48_000
        opened.mux(stream.encode(frame))
        opened.mux(stream.encode(None))
    return out.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"<?xml version='1.0'?><MPD/>",
        b"\x7fELF" + b"\0" * 100,
        b"\xff\xf1" + b"\0" * 100,
    ],
)
def test_other_formats_are_not_even_opened(data: bytes) -> None:
    with pytest.raises(UnknownFormat):
        list(decode(io.BytesIO(data)))


@pytest.mark.parametrize("keep", [60, 200])
def test_a_file_that_ends_before_its_audio_is_undecodable(keep: int) -> None:
    with pytest.raises(Undecodable):
        list(decode(io.BytesIO(muxed("mp4", "aac")[:keep])))


@given(
    st.sampled_from([b"RIFF\0\0\0\0WAVE", b"fLaC", b"OggS", b"\x1a\x45\xdf\xa3", b"ID3", b"\0\0\0\x20ftypM4A "]),
    st.binary(max_size=400),
)
@settings(max_examples=60, deadline=None)
def test_noise_behind_a_beginning_is_refused_or_heard(beginning: bytes, noise: bytes) -> None:
    try:
        for samples in decode(io.BytesIO(beginning + noise), max_seconds=60):
            assert samples.dtype == np.float32
    except (Undecodable, WrongLength):
        pass


def test_a_damaged_middle_is_left_out() -> None:
    data = bytearray(muxed("mp3", "libmp3lame", seconds=4))
    data[len(data) // 2 : len(data) // 2 + 3000] = b"\x00" * 3000
    seconds, frequency = heard(bytes(data))
    assert 2.5 < seconds < 4.2
    assert frequency == pytest.approx(TONE, abs=3)


def test_length_is_bounded_both_ways() -> None:
    data = muxed("mp3", "libmp3lame", seconds=3)
    with pytest.raises(WrongLength) as told:
        list(decode(io.BytesIO(data), max_seconds=1))
    assert told.value.limit == 1
    short = b"".join(encoded("wav", tone(0.05)))
    with pytest.raises(WrongLength) as told:
        list(pieces(decode(io.BytesIO(short))))
    assert told.value.seconds < 0.1


def test_pieces_are_cut_where_it_is_quiet_and_lose_nothing() -> None:
    loud = tone(9, RATE)
    loud[5 * RATE : 5 * RATE + RATE // 2] = 0
    parts = list(pieces(iter(np.array_split(loud, 13)), seconds=6))
    assert 5 * RATE <= parts[0].size <= 5 * RATE + RATE // 2
    assert np.array_equal(np.concatenate(parts), loud)


def test_where_it_is_quietest_is_within() -> None:
    assert 0 < quietest(tone(1, RATE)) <= RATE
