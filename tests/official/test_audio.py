"""Audio as people use it: speech made here and read back, with the official SDK, on a running server."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import time
import wave
from contextlib import closing
from http.client import HTTPConnection
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import openai
import pytest
from openai import OpenAI
from tests.official.running import Server, until

SAID = "Good evening! The quick brown fox jumps over the lazy dog, and then everybody goes home for dinner."
ANSWER = "I would like to order a large pizza with mushrooms and extra cheese."
WORD_ERROR_RATE = 0.15
"""Of speech that is read back; measured: 0 to 0.05."""


@pytest.fixture(scope="session")
def client(server: Server) -> OpenAI:
    return server.client(timeout=120)


@pytest.fixture(scope="session")
def recording(client: OpenAI) -> bytes:
    return client.audio.speech.create(model="tts-1", voice="marin", input=SAID, response_format="mp3").content


def words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def word_error_rate(said: str, heard: str) -> float:
    """Levenshtein distance in words, for each word that was said."""
    a, b = words(said), words(heard)
    row = list(range(len(b) + 1))
    for i, one in enumerate(a, 1):
        above, row = row, [i]
        for j, other in enumerate(b, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (one != other)))
    return row[-1] / len(a)


def seconds_of(data: bytes, format: str | None = None) -> float:
    with av.open(BytesIO(data), format=format) as opened:
        return sum(frame.samples / frame.sample_rate for frame in opened.decode(audio=0))


def test_what_is_spoken_is_written_down_again(client: OpenAI, recording: bytes) -> None:
    heard = client.audio.transcriptions.create(model="whisper-1", file=("speech.mp3", recording))
    assert word_error_rate(SAID, heard.text) <= WORD_ERROR_RATE
    assert heard.usage is not None
    assert heard.usage.type == "duration"
    assert heard.usage.seconds == pytest.approx(seconds_of(recording), abs=1.1)


def test_formats_of_whisper(client: OpenAI, recording: bytes) -> None:
    def ask(form: Any, **more: Any) -> Any:
        return client.audio.transcriptions.create(
            model="whisper-1", file=("a.mp3", recording), response_format=form, language="en", **more
        )

    verbose = ask("verbose_json", timestamp_granularities=["word", "segment"], temperature=0.2, prompt="A fox.")
    assert verbose.language == "english"
    assert word_error_rate(SAID, " ".join(word.word for word in verbose.words)) <= WORD_ERROR_RATE
    times = [time for word in verbose.words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert times[-1] <= verbose.duration + 0.5
    assert verbose.segments[0].tokens
    assert verbose.segments[0].avg_logprob < 0
    subtitles = ask("srt")
    assert re.match(r"1\n00:00:0\d,\d{3} --> 00:00:\d\d,\d{3}\n\S", subtitles)
    assert ask("vtt").startswith("WEBVTT\n\n00:00:0")
    assert word_error_rate(SAID, ask("text")) <= WORD_ERROR_RATE


def test_log_probabilities_and_tokens(client: OpenAI, recording: bytes) -> None:
    heard = client.audio.transcriptions.create(
        model="gpt-4o-transcribe", file=("a.mp3", recording), include=["logprobs"], chunking_strategy="auto"
    )
    assert heard.logprobs
    assert "".join(each.token or "" for each in heard.logprobs).strip() == heard.text
    assert all(each.logprob is not None and each.logprob <= 0 for each in heard.logprobs)
    assert heard.usage is not None
    assert heard.usage.type == "tokens"
    assert heard.usage.total_tokens == heard.usage.input_tokens + heard.usage.output_tokens
    assert heard.usage.input_tokens == pytest.approx(seconds_of(recording) * 10, abs=2)


def test_a_stream_tells_the_same_as_its_end(client: OpenAI, recording: bytes) -> None:
    stream = client.audio.transcriptions.create(
        model="gpt-4o-mini-transcribe",
        file=("a.mp3", recording),
        stream=True,
        chunking_strategy={"type": "server_vad", "threshold": 0.4, "silence_duration_ms": 300},
    )
    events = list(stream)
    *deltas, done = events
    assert {event.type for event in deltas} == {"transcript.text.delta"}
    assert done.type == "transcript.text.done"
    assert "".join(event.delta for event in deltas).strip() == done.text  # type: ignore[union-attr]
    assert word_error_rate(SAID, done.text) <= WORD_ERROR_RATE
    assert done.usage is not None
    assert done.usage.output_tokens > 10


def test_two_speakers_are_told_apart_and_a_known_one_is_named(client: OpenAI, recording: bytes) -> None:
    def pcm(voice: str, text: str) -> bytes:
        return client.audio.speech.create(model="tts-1", voice=voice, input=text, response_format="pcm").content

    ada, bob = pcm("marin", SAID), pcm("onyx", ANSWER)

    def wav(samples: bytes) -> bytes:
        out = BytesIO()
        with av.open(out, "w", format="wav") as opened:
            stream: Any = opened.add_stream("pcm_s16le", rate=24_000, layout="mono")
            packet = av.Packet(samples)
            packet.stream, packet.pts, packet.dts = stream, 0, 0
            opened.mux(packet)
        return out.getvalue()

    together = wav(ada + bytes(12_000) + bob)
    reference = "data:audio/wav;base64," + base64.b64encode(wav(bob[: 24_000 * 2 * 3])).decode()
    heard: Any = client.audio.transcriptions.create(
        model="gpt-4o-transcribe-diarize",
        file=("two.wav", together),
        response_format="diarized_json",
        chunking_strategy="auto",
        known_speaker_names=["bob"],
        known_speaker_references=[reference],
    )
    by: dict[str, str] = {}
    for segment in heard.segments:
        by[segment.speaker] = by.get(segment.speaker, "") + segment.text
    assert set(by) == {"A", "bob"}
    assert word_error_rate(SAID, by["A"]) <= 0.25
    assert word_error_rate(ANSWER, by["bob"]) <= 0.25


def test_translation(client: OpenAI, recording: bytes) -> None:
    with pytest.warns(DeprecationWarning, match="deprecated"):
        told = client.audio.translations.create(model="whisper-1", file=("a.mp3", recording))
    assert word_error_rate(SAID, told.text) <= WORD_ERROR_RATE


@pytest.mark.parametrize("form", ["mp3", "opus", "aac", "flac", "wav"])
def test_every_format_of_speech_plays(client: OpenAI, form: Any) -> None:
    spoken = client.audio.speech.create(model="tts-1", voice="alloy", input="One, two.", response_format=form)
    assert 0.5 < seconds_of(spoken.content, "aac" if form == "aac" else None) < 4


def test_speed(client: OpenAI) -> None:
    def seconds(speed: float) -> float:
        asked = {"model": "tts-1-hd", "voice": "echo", "input": "One, two, three.", "response_format": "pcm"}
        return len(client.audio.speech.create(**asked, speed=speed).content) / 48_000  # type: ignore[arg-type]

    slow, plain, fast = seconds(0.25), seconds(1.0), seconds(4.0)
    assert slow > 2.5 * plain
    assert fast < plain / 2.5


def test_speech_is_heard_before_it_is_finished(server: Server, client: OpenAI) -> None:
    with client.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts", voice="coral", input=SAID, response_format="pcm", instructions="Cheerfully."
    ) as response:
        pieces = list(response.iter_bytes(chunk_size=None))  # type: ignore[arg-type]
    assert len(pieces) > 1
    assert len(pieces[0]) < sum(map(len, pieces)) / 2


def test_speech_in_events(client: OpenAI) -> None:
    with client.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts", voice="sage", input="One, two.", stream_format="sse"
    ) as response:
        events = [json.loads(line[6:]) for line in response.iter_lines() if line.startswith("data: ")]
    *deltas, done = events
    assert {event["type"] for event in deltas} == {"speech.audio.delta"}
    audio = b"".join(base64.b64decode(event["audio"]) for event in deltas)
    assert seconds_of(audio) > 0.5
    assert done["type"] == "speech.audio.done"
    usage = done["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert usage["output_tokens"] == pytest.approx(20 * seconds_of(audio), abs=3)


FORMATS = "['flac', 'm4a', 'mp3', 'mp4', 'mpeg', 'mpga', 'oga', 'ogg', 'wav', 'webm']"


def ten_hours() -> bytes:
    """A WAV file of ten hours of silence, in 18 MB: 500 samples a second, a byte each."""
    file = BytesIO()
    with wave.open(file, "wb") as opened:
        opened.setnchannels(1)
        opened.setsampwidth(1)
        opened.setframerate(500)
        opened.writeframes(bytes([128]) * (36_000 * 500))
    return file.getvalue()


@pytest.mark.parametrize(
    ("model", "more", "data", "message", "param", "code"),
    [
        ("whisper-1", {}, b"not audio at all", f"Invalid file format. Supported formats: {FORMATS}", None, None),
        (
            "whisper-1",
            {},
            b"\xff\xfb" + bytes(4000),
            "The audio file could not be decoded or its format is not supported.",
            None,
            None,
        ),
        (
            "whisper-1",
            {},
            ten_hours(),
            "audio duration 36000 seconds is longer than 14400 seconds which is the maximum for this model",
            None,
            "invalid_value",
        ),
        ("gpt-4o-transcribe", {}, b"", "Audio file might be corrupted or unsupported", "file", "invalid_value"),
        (
            "whisper-1",
            {"language": "klingon"},
            None,
            "Invalid language 'klingon'. Language parameter must be specified in ISO-639-1 format.",
            "language",
            "invalid_language_format",
        ),
        (
            "gpt-4o-transcribe",
            {"response_format": "verbose_json"},
            None,
            "response_format 'verbose_json' is not compatible with model 'gpt-4o-transcribe'. Use 'json' or 'text' "
            "instead.",
            "response_format",
            "unsupported_value",
        ),
        (
            "whisper-1",
            {"include": ["logprobs"]},
            None,
            "Unsupported parameter: 'include' is not supported with this model.",
            "include",
            "unsupported_parameter",
        ),
        (
            "gpt-4o-transcribe-diarize",
            {"known_speaker_names": ["a"], "chunking_strategy": "auto"},
            None,
            "'known_speaker_names' and 'known_speaker_references' must have the same length.",
            "known_speaker_references",
            "invalid_value",
        ),
    ],
)
def test_refusals(
    client: OpenAI,
    recording: bytes,
    model: str,
    more: dict[str, Any],
    data: bytes | None,
    message: str,
    param: str | None,
    code: str | None,
) -> None:
    with pytest.raises(openai.BadRequestError) as told:
        client.audio.transcriptions.create(model=model, file=("x.mp3", recording if data is None else data), **more)
    assert told.value.body == {"message": message, "type": "invalid_request_error", "param": param, "code": code}


def test_a_file_over_25_megabytes(client: OpenAI) -> None:
    with pytest.raises(openai.APIStatusError) as told:
        client.audio.transcriptions.create(model="whisper-1", file=("x.wav", bytes((25 << 20) + 1)))
    assert told.value.status_code == 413
    body: Any = told.value.body
    assert body["type"] == "server_error"
    assert re.fullmatch(r"Maximum content size limit \(26214400\) exceeded \(\d+ bytes read\)", body["message"])


@pytest.mark.parametrize(
    ("more", "param", "code"),
    [
        ({"input": ""}, "input", "empty_string"),
        ({"input": "x" * 4097}, "input", "string_above_max_length"),
        ({"input": "日本語"}, "input", "invalid_value"),
        ({"voice": "nobody"}, "voice", "invalid_value"),
        ({"speed": 4.1}, "speed", "decimal_above_max_value"),
        ({"response_format": "midi"}, "response_format", "invalid_value"),
        ({"stream_format": "sse"}, "stream_format", "unsupported_value"),
    ],
)
def test_refusals_of_speech(client: OpenAI, more: dict[str, Any], param: str, code: str) -> None:
    with pytest.raises(openai.BadRequestError) as told:
        client.audio.speech.create(**{"model": "tts-1", "voice": "alloy", "input": "Hello", **more})
    body: Any = told.value.body
    assert (body["param"], body["code"]) == (param, code)


def test_who_leaves_stops_the_engine_and_pays_for_what_was_spoken(server: Server) -> None:
    body = {"model": "gpt-4o-mini-tts", "voice": "alloy", "input": SAID * 20, "response_format": "pcm"}
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
        connection.request(
            "POST",
            "/v1/audio/speech",
            json.dumps(body),
            {"authorization": f"Bearer {server.key}", "content-type": "application/json"},
        )
        response = connection.getresponse()
        request_id = response.headers["x-request-id"]
        assert response.read(1000)
    row = server.settled(request_id)
    assert row["status"] == 499
    assert 0 < row["output_tokens"] < 20 * 60
    # The engine is free again: with all of that text to speak, this would take minutes.
    began = time.monotonic()
    server.client(timeout=60).audio.speech.create(model="tts-1", voice="alloy", input="Hi.")
    assert time.monotonic() - began < 60


def test_a_killed_engine_fails_one_request_and_comes_back(server: Server, client: OpenAI, recording: bytes) -> None:
    pid = server.engine("kokoro")
    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="alloy", input=SAID * 10, response_format="pcm"
    ) as response:
        pieces = response.iter_bytes(1000)
        next(pieces)
        os.kill(pid, signal.SIGKILL)
        # The status was sent: only an answer that breaks off can tell.
        with pytest.raises(Exception, match="incomplete chunked read"):
            list(pieces)
    assert client.audio.speech.create(model="tts-1", voice="alloy", input="Hello.").content
    until(lambda: server.engine("kokoro") != pid, "the engine did not come back")
    assert not server.tracebacks


def test_a_killed_engine_ends_a_transcription_and_comes_back(server: Server, client: OpenAI, recording: bytes) -> None:
    client.audio.transcriptions.create(model="gpt-4o-transcribe", file=("a.mp3", recording))
    pid = server.engine("whisper")
    long = ("a.mp3", recording * 12)
    events = client.audio.transcriptions.create(model="gpt-4o-transcribe", file=long, stream=True)
    assert next(events).type == "transcript.text.delta"
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(openai.APIError):  # an error event: the status was sent
        list(events)
    again = client.audio.transcriptions.create(model="gpt-4o-transcribe", file=("a.mp3", recording))
    assert word_error_rate(SAID, again.text) <= WORD_ERROR_RATE
    assert server.engine("whisper") != pid
    assert not server.tracebacks


def test_curl(server: Server, recording: bytes, tmp_path: Path) -> None:
    """As the reference's examples send it: a form with names in brackets."""
    boundary = "----x"
    fields = {"model": "whisper-1", "response_format": "verbose_json", "timestamp_granularities[]": "word"}
    form = b"".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    )
    form += f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.mp3"\r\n\r\n'.encode()
    form += recording + f"\r\n--{boundary}--\r\n".encode()
    answer = server.http(
        "POST", "/v1/audio/transcriptions", form, {"content-type": f"multipart/form-data; boundary={boundary}"}
    )
    assert answer.status == 200
    told = json.loads(answer.body)
    assert told["task"] == "transcribe"
    assert told["words"]
    assert "segments" not in told
