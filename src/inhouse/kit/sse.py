"""Server-sent events as the API writes them.

Three styles exist. ``data`` (Chat Completions, Completions): ``data: {json}`` per event, and ``data: [DONE]`` at the
end. ``typed`` (Responses, images, audio): ``event: {type}`` before the data, and no ``[DONE]``. ``named`` (Assistants):
the event's name before its data alone, and ``event: done`` with ``[DONE]`` at the end.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any, ClassVar, Generic, Literal, TypeVar

import msgspec

from inhouse.kit.errors import APIError

T = TypeVar("T")

KEEPALIVE = b": keep-alive\n\n"
DONE = b"data: [DONE]\n\n"
NAMED_DONE = b"event: done\n" + DONE

_encode = msgspec.json.Encoder().encode


class EventStream(Generic[T]):
    """What a handler returns for a stream.

    Args:
        batches: events in the groups they became ready in; each group is one write to the client. It is closed exactly
            once, whatever happens, and its cleanup is awaited. Acquire what must be released inside of it.
        style: ``data``, ``typed`` or ``named``. A typed event is a Struct with a ``type`` tag or a ``type`` field; a
            named one has an ``event`` tag or key, and ``data``.
        done: whether ``data: [DONE]`` ends the stream; by default not for ``typed``.
    """

    __slots__ = ("batches", "done", "style")

    media_type: ClassVar[bytes] = b"text/event-stream; charset=utf-8"

    def __init__(
        self,
        batches: AsyncGenerator[Sequence[T], None],
        *,
        style: Literal["data", "typed", "named"] = "data",
        done: bool | None = None,
    ) -> None:
        self.batches = batches
        self.style = style
        self.done = style != "typed" if done is None else done

    def frame(self, batch: Sequence[T]) -> bytes:
        """The bytes of a batch. Raises TypeError for events that JSON cannot hold."""
        if self.style == "typed":
            heads = _heads
            return b"".join([b"%b%b\n\n" % (heads.get(type(event)) or _head(event), _encode(event)) for event in batch])
        if self.style == "named":
            return b"".join([b"event: %b\ndata: %b\n\n" % _named(event) for event in batch])
        if len(batch) == 1:
            return b"data: " + _encode(batch[0]) + b"\n\n"
        return b"".join([b"data: %b\n\n" % _encode(event) for event in batch])

    def error(self, error: APIError) -> bytes:
        """The last bytes of a stream that failed after it began."""
        event = b"" if self.style == "data" else b"event: error\n"
        return b"%bdata: %b\n\n" % (event, _encode(error.body))

    @property
    def end(self) -> bytes:
        """The last bytes of a stream that succeeded."""
        if not self.done:
            return b""
        return NAMED_DONE if self.style == "named" else DONE


def _named(event: Any) -> tuple[bytes, bytes]:
    if isinstance(event, dict):
        return str(event["event"]).encode(), _encode(event["data"])
    return str(event.__struct_config__.tag).encode(), _encode(event.data)


_heads: dict[type, bytes] = {}
"""What comes before the JSON of an event, by its class, where that has a tag."""


def _head(event: Any) -> bytes:
    cls = type(event)
    config = getattr(cls, "__struct_config__", None)
    if config is not None and config.tag_field == "type":
        return _heads.setdefault(cls, b"event: %b\ndata: " % str(config.tag).encode())
    name = event["type"] if isinstance(event, dict) else event.type
    return b"event: %b\ndata: " % str(name).encode()
