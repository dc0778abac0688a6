"""What a connection remembers of the responses it was told, so that the next turn can go on from one at once.

Turns with ``store: false`` are kept nowhere else: when the connection ends they are gone.
"""

from __future__ import annotations

from collections import OrderedDict

from inhouse.api.responses.past import Past
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
        self._known: OrderedDict[str, Past] = OrderedDict()

    def recall(self, response_id: str) -> Past | None:
        """What a turn after this response goes on from."""
        return self._known.get(response_id)

    def remember(self, turn: Turn) -> None:
        """Keep what a turn came to."""
        self._known[turn.response.id] = turn.past.then([*turn.input, *turn.to_store().output])
        while len(self._known) > self._most or sum(past.characters for past in self._known.values()) > self._most_bytes:
            self._known.popitem(last=False)

    def forget(self, response_id: str | None) -> None:
        """A turn that was to go on from this response failed."""
        if response_id is not None:
            self._known.pop(response_id, None)
