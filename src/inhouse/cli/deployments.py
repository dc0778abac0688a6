"""What serves the models of an installation, for the commands that change, pull, check or name it."""

from __future__ import annotations

from collections.abc import Sequence

from inhouse.catalog import Catalog
from inhouse.catalog.bindings import Bindings
from inhouse.catalog.cards import load_cards
from inhouse.cli.common import out
from inhouse.engines.deployments import WORD_VECTORS, Deployment, Embedded, Hosted, Remote, weights_of
from inhouse.engines.weights import Manifest, WeightsCache, WeightsError, find_manifest, pull_with_bar
from inhouse.settings import Settings
from inhouse.storage.database import Database


async def catalog_of(database: Database) -> Catalog:
    """The catalog with the current bindings."""
    bindings = Bindings(database)
    await bindings.refresh()
    return Catalog(load_cards(), bindings)


def pull_deployments(settings: Settings, deployments: Sequence[Deployment]) -> None:
    """Pull the weights that deployments on this machine lack."""
    cache = WeightsCache(settings.cache_dir)
    wanted: dict[str, Manifest] = {}
    for deployment in deployments:
        wanted |= {name: find_manifest(name) for name in weights_of(deployment)}
    for manifest in wanted.values():
        if cache.missing(manifest):
            pull_with_bar(cache, manifest)
    vectors = find_manifest(WORD_VECTORS)
    if any(isinstance(each, Embedded | Remote) and each.window_strategy == "read" for each in deployments) and (
        cache.missing(vectors)
    ):
        try:
            pull_with_bar(cache, vectors)
        except WeightsError as error:
            out.print(f"Long prompts are searched by words alone: {error}", style="yellow")


def describe(deployment: Deployment | None) -> str:
    """What serves a model, in a line."""
    match deployment:
        case None:
            return "not deployed"
        case Embedded(title=title):
            return f"{title} on llama.cpp, this machine"
        case Hosted(title=title):
            return f"{title} on {deployment.runs_on}, this machine"
        case Remote(upstream=upstream):
            return ", ".join(f"{target.model or 'the same model'} at {target.url}" for target in upstream.targets)
