"""What a request goes on from, and what of it this process still has at hand.

Items never change, so what was decoded and translated for one turn serves the next: a turn reads what is new, however
long the conversation is. What could have changed is asked each time, in one look at an index: that no response of a
chain was deleted, and which items a conversation has.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from sqlalchemy import Connection

from inhouse.api.conversations import store as conversations
from inhouse.api.conversations.store import ConversationMark
from inhouse.api.responses import store, wire
from inhouse.api.responses.items import StoredItem
from inhouse.api.responses.reading_items import Reading
from inhouse.api.responses.stored import input_items
from inhouse.kit.errors import InvalidRequest, NotFound
from inhouse.storage.database import Database

MOST = 4096
"""Chains and conversations at hand."""
MOST_CHARACTERS = 32 * 1024 * 1024
"""Of the JSON of all their items; decoded they take some three times as much memory."""


class Past:
    """Items as they are stored, as a client would send them, and as the core reads them; each made when it is wanted.

    Args:
        before: what they follow.
    """

    __slots__ = ("_before", "_items", "_new", "_reading", "characters", "stored")

    def __init__(self, new: Sequence[StoredItem], before: Past | None = None) -> None:
        self.stored: list[StoredItem] = [*before.stored, *new] if before is not None else [*new]
        self.characters: int = sum(len(item.body) for item in new)
        if before is not None:
            self.characters += before.characters
        # Only what was made of it is worth to follow, and then it does not itself follow anything.
        self._before = before if before is not None and before._reading is not None else None
        self._new = new if self._before is not None else self.stored
        self._items: list[wire.InputItem] | None = None
        self._reading: Reading | None = None

    @property
    def items(self) -> list[wire.InputItem]:
        """Not to be changed."""
        if self._items is None:
            new = input_items(self._new)
            self._items = [*self._before.items, *new] if self._before is not None else new
        return self._items

    def reading(self) -> Reading:
        """A copy, to go on from.

        Raises:
            InvalidRequest: as ``Reading.add``.
        """
        if self._reading is None:
            before = self._before.reading() if self._before is not None else Reading()
            for item in self.items[len(self.stored) - len(self._new) :]:
                before.add(item, "input")
            self._reading = before
            self._before = None
        return self._reading.copy()

    def then(self, new: Sequence[StoredItem]) -> Past:
        """This, and what came after it."""
        return Past(new, self)


NOTHING = Past(())


class Pasts:
    """Finds what requests go on from, in the database where it is not at hand."""

    def __init__(self, database: Database, *, most: int = MOST, most_characters: int = MOST_CHARACTERS) -> None:
        self._database = database
        self._most = most
        self._most_characters = most_characters
        self._known: OrderedDict[tuple[str, str], tuple[Past, ConversationMark | None]] = OrderedDict()
        self._characters = 0

    async def gather(self, project_id: str, previous_response_id: str | None, conversation_id: str | None) -> Past:
        """What a request goes on from.

        Raises:
            InvalidRequest: both are given, or the previous response is not there.
            NotFound: the conversation is not there.
        """
        if previous_response_id is not None and conversation_id is not None:
            raise InvalidRequest(
                "Mutually exclusive parameters: 'previous_response_id' and 'conversation'. Ensure you are only "
                "providing one of them.",
                param="previous_response_id",
                code="mutually_exclusive_parameters",
            )
        if previous_response_id is not None:
            return await self._chain(project_id, previous_response_id)
        if conversation_id is not None:
            return await self._conversation(project_id, conversation_id)
        return NOTHING

    def remember(self, project_id: str, response_id: str, past: Past, previous_response_id: str | None = None) -> None:
        """What a turn after this response goes on from.

        Args:
            previous_response_id: what it went on from itself, which is remembered no more: a chain goes on from its
                end.
        """
        if previous_response_id is not None:
            self.forget(project_id, previous_response_id)
        self._remember(project_id, response_id, past, None)

    def forget(self, project_id: str, id: str) -> None:
        """A response or a conversation is gone."""
        if (known := self._known.pop((project_id, id), None)) is not None:
            self._characters -= known[0].characters

    async def _chain(self, project_id: str, response_id: str) -> Past:
        known = self._recall(project_id, response_id)

        def look(connection: Connection) -> Past | None:
            if known is not None:
                # A chain that begins in a conversation follows what may have changed.
                start = store.start_of_chain(connection, project_id, response_id)
                return known[0] if start is not None and start.conversation_id is None else None
            found = store.chain(connection, project_id, response_id)
            return None if found is None else Past(found)

        past = await self._database.read(look)
        if past is None and known is not None:
            self.forget(project_id, response_id)
            return await self._chain(project_id, response_id)
        if past is None:
            raise InvalidRequest(
                f"Previous response with id '{response_id}' not found.",
                param="previous_response_id",
                code="previous_response_not_found",
            )
        self._remember(project_id, response_id, past, None)
        return past

    async def _conversation(self, project_id: str, conversation_id: str) -> Past:
        known = self._recall(project_id, conversation_id)

        def look(connection: Connection) -> tuple[Past, ConversationMark] | None:
            if conversations.get_conversation(connection, project_id, conversation_id) is None:
                return None
            mark = conversations.mark_of_conversation(connection, conversation_id)
            past, before = known or (NOTHING, None)
            if mark == before:
                return past, mark
            if before is not None:
                added = conversations.conversation_items(connection, conversation_id, after=before.last)
                if mark == before.then(added):
                    return past.then([item.stored for item in added]), mark
            items = conversations.conversation_items(connection, conversation_id)
            return Past([item.stored for item in items]), mark

        found = await self._database.read(look)
        if found is None:
            self.forget(project_id, conversation_id)
            raise conversation_not_found(conversation_id)
        self._remember(project_id, conversation_id, *found)
        return found[0]

    def _recall(self, project_id: str, id: str) -> tuple[Past, ConversationMark | None] | None:
        return self._known.get((project_id, id))

    def _remember(self, project_id: str, id: str, past: Past, mark: ConversationMark | None) -> None:
        self.forget(project_id, id)
        self._known[project_id, id] = past, mark
        self._characters += past.characters
        while len(self._known) > self._most or self._characters > self._most_characters:
            _, (oldest, _) = self._known.popitem(last=False)
            self._characters -= oldest.characters


def conversation_not_found(conversation_id: str) -> NotFound:
    return NotFound(f"Conversation with id '{conversation_id}' not found.", param="conversation_id")
