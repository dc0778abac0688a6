"""What a connection remembers of the responses it was told, so that the next turn can go on from one at once.

Turns with ``store: false`` are kept nowhere else: when the connection ends they are gone.
"""

from __future__ import annotations

from collections import OrderedDict

from inhouse.api.responses.store import StoredItem
from inhouse.api.responses.stored import stored_item
from inhouse.api.responses.turn import Turn


class Memory:
    """The latest responses of one connection.

    Args:
        most: responses; a lane goes on from its own last one.
        most_bytes: of all their items; beyond, the oldest are forgotten.
    """

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._known: OrderedDict[str, tuple[list[StoredItem], int]] = OrderedDict()

    def recall(self, response_id: str) -> list[StoredItem] | None:
        """The items that a turn after this response goes on from."""
        found = self._known.get(response_id)
        return None if found is None else found[0]

    def remember(self, turn: Turn) -> None:
        """Keep what a turn came to."""
        items = [*turn.history, *turn.input, *(stored_item(item) for item in turn.response.output)]
        self._known[turn.response.id] = items, sum(len(item.body) for item in items)
        while len(self._known) > self._most or sum(size for _, size in self._known.values()) > self._most_bytes:
            self._known.popitem(last=False)

    def forget(self, response_id: str | None) -> None:
        """A turn that was to go on from this response failed."""
        if response_id is not None:
            self._known.pop(response_id, None)
