"""From the name in a request to the card, the snapshot and the deployment behind it."""

from __future__ import annotations

import msgspec

from inhouse.catalog.bindings import Binding, Bindings
from inhouse.catalog.cards import Card, Cards, Snapshot
from inhouse.engines.deployments import Deployment
from inhouse.kit.errors import NotFound


class Resolved(msgspec.Struct, frozen=True):
    """A model that can answer."""

    card: Card
    snapshot: Snapshot
    binding: Binding
    deployment: Deployment


class Catalog:
    """Cards with the bindings of this machine."""

    def __init__(self, cards: Cards, bindings: Bindings) -> None:
        self.cards = cards
        self.bindings = bindings

    def find(self, model: str) -> Resolved | None:
        """The model behind a name, or None if there is no such card or nothing serves it here."""
        known = self.cards.resolve(model)
        if known is None:
            return None
        card, snapshot = known
        binding = self.bindings.current(card.id)
        if binding is None or binding.deployment is None:
            return None
        return Resolved(card, snapshot, binding, binding.deployment)

    def resolve(self, model: str, endpoint: str) -> Resolved:
        """The model behind a name, for one endpoint.

        Raises:
            NotFound: no such model, not deployed here, or the model does not serve this endpoint.
        """
        found = self.find(model)
        if found is None:
            raise model_not_found(model)
        if not getattr(found.card.endpoints, endpoint):
            raise wrong_endpoint(found.card, endpoint)
        return found

    def deployed(self) -> list[Resolved]:
        """Every snapshot that can answer, in the cards' order."""
        snapshots = (snapshot.id for card in self.cards for snapshot in card.snapshots)
        return [found for found in map(self.find, snapshots) if found is not None]


def model_not_found(model: str, *, param: str = "model") -> NotFound:
    return NotFound(
        f"The model `{model}` does not exist or you do not have access to it.", param=param, code="model_not_found"
    )


def wrong_endpoint(card: Card, endpoint: str) -> NotFound:
    """What the vendor says of a model called at another model's endpoint."""
    if endpoint == "completions":
        message = (
            "This is a chat model and not supported in the v1/completions endpoint. "
            "Did you mean to use v1/chat/completions?"
        )
    elif endpoint == "chat_completions":
        message = (
            "This is not a chat model and thus not supported in the v1/chat/completions endpoint. "
            "Did you mean to use v1/completions?"
        )
    else:
        message = f"The model `{card.id}` does not support this endpoint."
    return NotFound(message, param="model")
