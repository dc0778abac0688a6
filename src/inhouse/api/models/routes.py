"""Models over HTTP."""

from __future__ import annotations

from inhouse.api.models import wire
from inhouse.api.operation import Request, operation
from inhouse.catalog import Catalog, Resolved
from inhouse.catalog.catalog import model_not_found
from inhouse.kit.errors import Forbidden, NotFound
from inhouse.serving import Serving


class Models:
    def __init__(self, catalog: Catalog, serving: Serving) -> None:
        self._catalog = catalog
        self._serving = serving

    @operation("GET", "/models", id="listModels", tag="Models")
    async def list(self, request: Request) -> wire.ModelList:
        """List the models that answer here.

        Aliases and dated snapshots. A model of the catalog that nothing serves here is left out, and so is one that the
        project may not use.
        """
        names = dict.fromkeys(
            name for card in self._catalog.cards for name in (card.id, *(s.id for s in card.snapshots))
        )
        found = [(name, self._catalog.find(name)) for name in names]
        allowed = request.caller.policy.allows_model
        return wire.ModelList(
            data=[
                await self._model(name, model)
                for name, model in found
                if model is not None and allowed(name, model.card.id, model.snapshot.id)
            ]
        )

    @operation("GET", "/models/{model}", id="retrieveModel", tag="Models", errors=(NotFound,))
    async def retrieve(self, request: Request, model: str) -> wire.Model:
        """Get a model."""
        found = self._catalog.find(model)
        if found is None:
            raise model_not_found(model)
        if not request.caller.policy.allows_model(model, found.card.id, found.snapshot.id):
            raise model_not_found(model)
        return await self._model(model, found)

    @operation("DELETE", "/models/{model}", id="deleteModel", tag="Models", errors=(NotFound, Forbidden))
    async def delete(self, request: Request, model: str) -> wire.ModelDeleted:
        """Delete a fine-tuned model.

        The catalog's own models cannot be deleted.
        """
        if self._catalog.cards.resolve(model) is None:
            raise model_not_found(model)
        raise Forbidden("You have insufficient permissions for this operation: only fine-tuned models can be deleted.")

    async def _model(self, name: str, found: Resolved) -> wire.Model:
        card = found.card
        served = await self._serving.served_by(found.snapshot.id)
        deprecation = card.deprecation
        return wire.Model(
            id=name,
            created=card.created if name == card.id else found.snapshot.created,
            owned_by=card.owned_by,
            shutdown_date=(
                deprecation.shutdown.isoformat()
                if deprecation is not None and deprecation.sourced and deprecation.shutdown is not None
                else None
            ),
            context_window=card.context_window,
            deployed_window=None if served is None else min(served.window, card.context_window),
            window_strategy=None if served is None else served.window_strategy,
            window_reads=None if served is None else served.reads,
            served_by=None if served is None else f"{served.weights} on {served.engine}, {served.where}",
        )
