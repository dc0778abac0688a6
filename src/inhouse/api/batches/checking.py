"""Reads the input file of a batch: once to check it, and then a part at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import msgspec

from inhouse.api.batches.wire import BatchError
from inhouse.limits.demand import estimate

MOST_REQUESTS = 50_000
MOST_BYTES = 200 * 1024 * 1024
MOST_INPUTS = 50_000
"""Texts to embed in all requests together."""
MOST_ERRORS = 100
"""That a batch tells of; more would help nobody."""
CHUNK_REQUESTS = 100
CHUNK_BYTES = 1 << 20
"""What is claimed at once. A request that is larger is a chunk of its own."""
LONGEST_LINE = 64 << 20

_PROMPTS = ("messages", "input", "prompt", "suffix", "instructions", "tools", "functions", "response_format", "text")
"""Fields of a body whose texts make the prompt."""


class Line(msgspec.Struct, frozen=True):
    """One request of an input file."""

    custom_id: str
    method: str
    url: str
    body: msgspec.Raw


class Chunk(msgspec.Struct, frozen=True):
    """Some requests that follow each other in their file."""

    first: int
    """Number of the first request, from 0."""
    count: int
    start: int
    end: int
    """Bytes of the file: from ``start`` to before ``end``."""


class Checked(msgspec.Struct, frozen=True):
    """What an input file holds."""

    errors: list[BatchError]
    chunks: list[Chunk]
    total: int
    model: str | None
    tokens: int
    """Of all prompts, estimated."""


_decode = msgspec.json.Decoder(Line).decode
_decode_any = msgspec.json.Decoder(dict[str, Any]).decode


def check(path: Path, endpoint: str, default_model: str | None = None) -> Checked:
    """Read a whole input file. Blocks.

    Args:
        endpoint: that all requests must ask, e.g. ``/v1/chat/completions``.
        default_model: of requests that name none, where the endpoint allows that.
    """
    size = path.stat().st_size
    if size > MOST_BYTES:
        return _refused("file_too_large", f"The input file is too large: {size:,} bytes, at most {MOST_BYTES:,} are.")
    with path.open("rb") as file:
        return _Checking(endpoint, default_model).of(file)


class _Checking:
    def __init__(self, endpoint: str, default_model: str | None) -> None:
        self._endpoint = endpoint
        self._default_model = default_model
        self._errors: list[BatchError] = []
        self._ids: set[str] = set()
        self._model: str | None = None
        self._tokens = 0
        self._inputs = 0

    def of(self, file: IO[bytes]) -> Checked:
        chunks: list[Chunk] = []
        total = first = start = position = 0
        number = 0
        while line := file.readline(LONGEST_LINE):
            number += 1
            before, position = position, position + len(line)
            if not line.strip():
                continue
            total += 1
            if total > MOST_REQUESTS:
                return _refused(
                    "too_many_tasks", f"The input file has too many requests. At most {MOST_REQUESTS:,} are allowed."
                )
            if total - first > CHUNK_REQUESTS or (total - first > 1 and position - start > CHUNK_BYTES):
                chunks.append(Chunk(first, total - 1 - first, start, before))
                first, start = total - 1, before
            self._line(number, line)
            if len(self._errors) >= MOST_ERRORS:
                return Checked(self._errors, [], total, None, 0)
        if not total:
            return _refused(
                "empty_file", "The input file is empty. Please ensure that the batch contains at least one request."
            )
        if self._inputs > MOST_INPUTS:
            self._errors.append(
                BatchError(
                    code="too_many_inputs",
                    message=f"The requests embed {self._inputs:,} inputs. At most {MOST_INPUTS:,} are allowed.",
                )
            )
        chunks.append(Chunk(first, total - first, start, position))
        return Checked(self._errors, chunks, total, self._model, self._tokens)

    def _line(self, number: int, data: bytes) -> None:
        try:
            line = _decode(data)
            body = _decode_any(line.body)
        except (msgspec.ValidationError, RecursionError):
            self._errors.append(_misshapen(data, number))
            return
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._errors.append(_not_json(number))
            return
        wrong = self._wrong(line, body)
        if wrong is not None:
            code, message, param = wrong
            self._errors.append(BatchError(code=code, message=message, param=param, line=number))
            return
        self._tokens += prompt_tokens(body)
        if self._endpoint == "/v1/embeddings":
            given = body.get("input")
            self._inputs += len(given) if isinstance(given, list) and given and not isinstance(given[0], int) else 1

    def _wrong(self, line: Line, body: dict[str, Any]) -> tuple[str, str, str | None] | None:
        """Code, message and parameter of what is wrong first."""
        if line.custom_id in self._ids:
            return (
                "duplicate_custom_id",
                "The custom_id for this request is a duplicate of another request. The custom_id parameter must be "
                "unique for each request in a batch.",
                "custom_id",
            )
        self._ids.add(line.custom_id)
        if line.method != "POST":
            return "invalid_method", f"Invalid method: '{line.method[:20]}'. Requests of a batch use 'POST'.", "method"
        if line.url != self._endpoint:
            return (
                "url_mismatch",
                "The URL provided for this request does not match the batch endpoint. All requests of a batch go to "
                f"'{self._endpoint}'.",
                "url",
            )
        model = body.get("model", self._default_model)
        if not isinstance(model, str) or not model:
            return "missing_required_parameter", "Missing required parameter: 'body.model'.", "body.model"
        if self._model is None:
            self._model = model
        elif model != self._model:
            return (
                "model_mismatch",
                f"The model '{model[:100]}' differs from '{self._model[:100]}' of the first request. All requests of a "
                "batch must use the same model.",
                "body.model",
            )
        for name in ("stream", "background"):
            if body.get(name):
                return "unsupported_parameter", f"'{name}' is not supported in a batch.", f"body.{name}"
        return None


def prompt_tokens(body: dict[str, Any]) -> int:
    """Tokens of the prompt of a request, estimated as limits do (``limits.demand``)."""
    characters = tokens = images = 0
    left: list[Any] = [body[name] for name in _PROMPTS if name in body]
    while left:
        value = left.pop()
        if isinstance(value, str):
            if value.startswith("data:"):
                images += 1
            else:
                characters += len(value)
        elif isinstance(value, list):
            if value and isinstance(value[0], int):
                tokens += len(value)
            else:
                left += value
        elif isinstance(value, dict):
            left += value.values()
    return tokens + estimate(characters, images_high=images)


def body_tokens(body: msgspec.Raw) -> int:
    return prompt_tokens(_decode_any(body))


def lines(data: bytes) -> Iterator[Line]:
    """The requests in a part of a file that was checked."""
    for line in data.split(b"\n"):
        if line.strip():
            yield _decode(line)


def _refused(code: str, message: str) -> Checked:
    return Checked([BatchError(code=code, message=message)], [], 0, None, 0)


def _not_json(number: int) -> BatchError:
    return BatchError(code="invalid_json_line", message="This line is not parseable as valid JSON.", line=number)


def _misshapen(data: bytes, number: int) -> BatchError:
    try:
        given = _decode_any(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        try:
            msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return _not_json(number)
        return BatchError(code="invalid_type", message="A line must be a JSON object.", line=number)
    for name in Line.__struct_fields__:
        if name not in given:
            return BatchError(
                code="missing_required_parameter",
                message=f"Missing required parameter: '{name}'.",
                param=name,
                line=number,
            )
    wrong = next(
        (name for name in ("custom_id", "method", "url") if not isinstance(given[name], str)),
        "body",
    )
    kind = "an object" if wrong == "body" else "a string"
    return BatchError(
        code="invalid_type", message=f"Invalid type for '{wrong}': expected {kind}.", param=wrong, line=number
    )
