"""What a hosted tool is, as the loop that runs it (``generation.loop``) and the faces that tell of it see one.

A tool is made for one response. The loop asks it, in this order:

    prepare()       what has to be known before the model is asked, such as the tools of a server
    declarations()  the functions that the model may call
    resume()        what an earlier response left to be done, such as a call that was allowed since
    run(call)       a call of the model; several at once where the request allows it
    close()         always, whatever happened

``prepare``, ``resume`` and ``run`` give events. Of every item that a tool gives it tells ``ItemStarted``, any number of
``ItemProgress`` and ``ItemDone``, before it starts the next one; a generator that is closed on the way needs to tell
nothing more, the face ends what is open. A failure of the tool's own is an item and an ``Answered``, so that the model
can go on; only what must end the response is raised.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Sequence
from typing import Any, ClassVar

import msgspec


class Declaration(msgspec.Struct, frozen=True):
    """A function that the model is told of.

    ``name`` is what the model sees, ``own_name`` what a client calls it in ``tool_choice``. ``parameters`` is a JSON
    Schema of type object; None takes no arguments. ``strict``: arguments are held to the schema.
    """

    name: str
    own_name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool = False


class HostedCall(msgspec.Struct, frozen=True):
    """A call that the model made: ``name`` as it sees it, ``arguments`` as JSON text, which may be anything."""

    id: str
    name: str
    arguments: str


class HostedItem(msgspec.Struct, kw_only=True, tag_field="type"):
    """Base of the items that tools give. Tag and fields are those of the Responses contract, whose face tells an item
    as it is; other faces translate it."""

    id: str


class ItemStarted(msgspec.Struct, tag="item_started"):
    """An item begins."""

    item: HostedItem


class ItemProgress(msgspec.Struct, tag="item_progress"):
    """A step of the item that is open.

    ``stage`` is the event's name in the Responses contract without ``response.``, such as ``mcp_call.in_progress``;
    ``fields`` are those of the event beside the item's id and place.
    """

    stage: str
    fields: dict[str, Any] = {}


class ItemDone(msgspec.Struct, tag="item_done"):
    """The item as it ended.

    ``whole`` is the same with what clients are told only if they ask for it; it is kept for later turns.
    """

    item: HostedItem
    whole: HostedItem | None = None


class Answered(msgspec.Struct, tag="answered"):
    """What the model reads of a call from now on. Not told to clients.

    ``plain`` is the same without anything that the model is asked to do with it, for one that had nothing to say.
    """

    call: HostedCall
    output: str
    plain: str | None = None


class Paused(msgspec.Struct, tag="paused"):
    """The client has to decide before the call can be made: the response ends. Not told to clients."""


class Cited(msgspec.Struct, tag="cited"):
    """What the model has just said rests on something.

    ``annotation`` is that of the Responses contract, without its place in the text: this is where it stands.
    """

    annotation: dict[str, Any]


ToolEvent = ItemStarted | ItemProgress | ItemDone | Cited
"""What clients are told."""
ToolEvents = AsyncGenerator[list[ToolEvent | Answered | Paused], None]


async def _nothing() -> ToolEvents:
    none: tuple[list[ToolEvent | Answered | Paused], ...] = ()
    for batch in none:
        yield batch


class HostedTool(ABC):
    """One tool of one response."""

    kind: ClassVar[str]
    """Its type in a request, such as ``mcp``."""
    label: str | None = None
    """Which of several of its kind it is, where a request may hold more than one."""

    def prepare(self) -> ToolEvents:
        """Make ready. Raises APIError if the response cannot be made without it."""
        return _nothing()

    @abstractmethod
    def declarations(self) -> Sequence[Declaration]:
        """What the model may call, after ``prepare``. Names are unique among all tools of a request."""

    def resume(self) -> ToolEvents:
        """Do what is left to do from an earlier response."""
        return _nothing()

    def recall(self, item: HostedItem) -> Answered | None:
        """What the model reads of an item that an earlier turn gave; None if it is none of this tool's."""
        return None

    @abstractmethod
    def run(self, call: HostedCall) -> ToolEvents:
        """Do a call. Ends with one ``Answered``, or with one ``Paused``."""

    def read(self, text: str) -> list[str | Cited]:
        """What clients are told of a piece of the model's text. Marks that it set for this tool are taken out."""
        return [text]

    def end_text(self, *, last: bool) -> list[str | Cited]:
        """What is left to tell of the text where it ends.

        Args:
            last: the response ends, too.
        """
        return []

    async def close(self) -> None:  # noqa: B027 - most tools hold nothing
        """Let go of what is held."""
