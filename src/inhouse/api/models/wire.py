"""Shapes of the models operations."""

from __future__ import annotations

from typing import Annotated, Literal

from inhouse.api.wire import Deleted, ResponseObject, doc
from inhouse.engines.deployments import WindowStrategy


class Model(ResponseObject, kw_only=True):
    """A model that requests can name."""

    id: Annotated[str, doc("What `model` takes in a request.")]
    object: Annotated[Literal["model"], doc("Always `model`.")] = "model"
    created: Annotated[int, doc("When the model came out, in Unix seconds.")]
    owned_by: Annotated[str, doc("The organization behind the model's contract.")]
    shutdown_date: Annotated[str | None, doc("Day from which requests are refused, as YYYY-MM-DD; null if none.")] = (
        None
    )
    served_by: Annotated[
        str | None, doc("What answers for this model here: weights, engine and machine; null if nothing does.")
    ] = None
    context_window: Annotated[int | None, doc("Tokens of a prompt and its answer together, as the card says.")] = None
    deployed_window: Annotated[
        int | None, doc("Tokens that the model here reads at once; null if nothing serves it.")
    ] = None
    window_strategy: Annotated[
        WindowStrategy | None,
        doc("What is done with a prompt between the two: refused, read in passages, or its oldest items dropped."),
    ] = None
    window_reads: Annotated[
        str | None, doc("How much of such a prompt the model reads, in words; null where it reads no passages.")
    ] = None


class ModelList(ResponseObject, kw_only=True):
    """Every model of the catalog."""

    object: Annotated[Literal["list"], doc("Always `list`.")] = "list"
    data: Annotated[list[Model], doc("The models.")]


class ModelDeleted(Deleted, kw_only=True):
    """A fine-tuned model that is gone."""

    object: Annotated[Literal["model"], doc("Always `model`.")] = "model"
