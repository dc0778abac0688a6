"""The composition root: settings in, ASGI application out. The only place that wires rooms together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
from starlette.applications import Starlette
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from inhouse.access import Access
from inhouse.api.assistants.faces import assistants_faces
from inhouse.api.assistants.stores import Stores
from inhouse.api.audio.routes import Audio
from inhouse.api.audio.speech import SpeechService
from inhouse.api.audio.transcription import TranscriptionService
from inhouse.api.batches.clustering import adopt, cluster_of
from inhouse.api.batches.routes import Batches
from inhouse.api.batches.running import work_on_batches
from inhouse.api.batches.service import BatchesService
from inhouse.api.chat.routes import Chat
from inhouse.api.chat.service import ChatService
from inhouse.api.chat.store import CompletionStore
from inhouse.api.completions.routes import Completions
from inhouse.api.completions.service import CompletionsService
from inhouse.api.conversations.routes import Conversations
from inhouse.api.conversations.service import ConversationsService
from inhouse.api.dispatch import Dispatcher
from inhouse.api.embeddings.routes import Embeddings
from inhouse.api.embeddings.service import EmbeddingsService
from inhouse.api.files.routes import FilesFace
from inhouse.api.inside import Inside
from inhouse.api.models.routes import Models
from inhouse.api.moderations.routes import Moderations
from inhouse.api.moderations.service import ModerationsService
from inhouse.api.openapi import whole_document, whole_json
from inhouse.api.operation import Operation, operations_of
from inhouse.api.organization.faces import organization_faces
from inhouse.api.responses.background import Background
from inhouse.api.responses.file_search import file_search_maker
from inhouse.api.responses.hosting import HostedTools
from inhouse.api.responses.keeping import Keeping
from inhouse.api.responses.mcp import mcp_maker
from inhouse.api.responses.past import Pasts
from inhouse.api.responses.routes import Responses
from inhouse.api.responses.service import ResponsesService
from inhouse.api.responses.socket import ResponsesSocket
from inhouse.api.responses.store import Listed, recent_responses
from inhouse.api.socket import sockets_of
from inhouse.api.uploads.routes import UploadsFace
from inhouse.api.vector_stores.routes import VectorStoresFace
from inhouse.api.webhooks.routes import WebhookEndpoints
from inhouse.calls import Calls, Materials
from inhouse.catalog import Catalog
from inhouse.catalog.bindings import Bindings
from inhouse.catalog.cards import load_cards
from inhouse.catalog.terms import load_terms
from inhouse.console.behind import Behind
from inhouse.console.site import Site
from inhouse.documents import Documents
from inhouse.engines.deployments import Deployment
from inhouse.engines.pool import EnginePool
from inhouse.engines.weights import WeightsCache
from inhouse.files import Files
from inhouse.files.fetching import Fetcher
from inhouse.files.sweeping import Sweeper
from inhouse.files.uploads import Uploads
from inhouse.generation.moderation.pictures import Pictures
from inhouse.health import Health
from inhouse.jobs.runner import Runner
from inhouse.kit.addresses import LOOPBACK, PRIVATE, Network, Reach
from inhouse.limits import Limits
from inhouse.limits.batch_queue import BatchQueue
from inhouse.metering.budgets import Budgets
from inhouse.metering.engines import EngineCounts
from inhouse.metering.held import HeldLedger
from inhouse.metering.ledger import Ledger
from inhouse.metering.metrics import Metrics
from inhouse.metering.speeds import Speeds
from inhouse.serving import Serving
from inhouse.settings import MCPSettings, Settings, SettingsError
from inhouse.storage.blobs import Blobs
from inhouse.storage.database import Database
from inhouse.storage.journal import beside
from inhouse.tools.file_search import Chunker, Embedder, Indexes, Ingestion, StorageFees, StoreSweeper, VectorStores
from inhouse.tools.mcp import Bounds
from inhouse.webhooks import Webhooks

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

log = structlog.get_logger(__name__)

WARM_AFTER_S = 3.0
"""Seconds between a start, with all models that are to be ready, and the making of what pages need."""

_NEAR: dict[str, tuple[Network, ...]] = {"public": (), "loopback": LOOPBACK, "private": PRIVATE}


class Platform:
    """Every room, wired. ASGI: call it. ``start`` and ``stop`` come with the server's lifespan."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database = Database(settings.database_url)
        self.access = Access(self.database)
        self.metrics = Metrics()
        self.ledger = Ledger(self.database, _beside(self.database, "ledger"))
        self.keeping = Keeping(self.database, _beside(self.database, "responses"))
        self.catalog = Catalog(load_cards(), Bindings(self.database))
        cache = WeightsCache(settings.cache_dir)
        self.engines = EnginePool(cache, settings.engines, settings.data_dir / "logs")
        self.engine_counts = EngineCounts(self.database, self.engines, self.ledger)
        self.limits = Limits.of(settings.limits, self.database)
        self.budgets = Budgets(self.database)
        self.serving = Serving(self.database, self.catalog, self.engines, Speeds(self.database), datetime.now(UTC))
        self.jobs = Runner(self.database)
        self.webhooks = Webhooks(self.database, self.jobs, networks=settings.webhooks.networks)
        blobs = Blobs(settings.data_dir / "blobs", settings.data_dir / "scratch", settings.files.url)
        self.files = Files(self.database, blobs, quota=settings.files.project_quota_bytes or None)
        uploads = Uploads(self.files)
        self.sweeper = Sweeper(self.files, uploads)
        self.documents = Documents(timeout_s=settings.files.document_timeout_s, memory=settings.files.document_memory)
        materials = Materials(self.files, self.documents, Fetcher(settings.files.fetch))
        self.calls = Calls(self.catalog, self.limits, self.ledger, self.budgets, self.engines, self.metrics, materials)
        embedder = Embedder(self.catalog, self.engines, settings.vector_stores.embedding_model)
        ingestion = Ingestion(self.files, self.documents, Chunker(cache), embedder, self.jobs)
        indexes = Indexes(self.database, settings.vector_stores.index_memory)
        self.vector_stores = VectorStores(self.files, ingestion, embedder, indexes)
        self.store_sweeper = StoreSweeper(self.vector_stores)
        self.storage_fees = StorageFees(self.database, self.ledger, self.jobs)
        hosts = HostedTools(
            {
                "file_search": file_search_maker(self.vector_stores),
                "mcp": mcp_maker(Reach(_NEAR[settings.mcp_reach]), _mcp_bounds(settings.mcp)),
            }
        )
        pasts = Pasts(self.database)
        background = Background(self.calls, self.database, self.jobs, hosts, pasts)
        responses = ResponsesService(self.calls, self.database, background, hosts, self.keeping, pasts)
        # The same faces and services once more, on calls of batches.
        held = HeldLedger(self.ledger)
        batch_calls = Calls(
            self.catalog, self.limits, held, self.budgets, self.engines, self.metrics, materials, pool="batch"
        )
        inside = Inside(
            operations_of(
                Chat(ChatService(batch_calls, CompletionStore(self.database))),
                Responses(ResponsesService(batch_calls, self.database, background, hosts, self.keeping, pasts)),
                Completions(CompletionsService(batch_calls)),
                Embeddings(EmbeddingsService(batch_calls)),
                Moderations(ModerationsService(batch_calls, Pictures(materials.fetcher))),
            )
        )
        queue = BatchQueue(self.database, self.limits)
        cluster = cluster_of(settings, self.catalog)
        work_on_batches(self.database, self.files, self.jobs, self.access, batch_calls, held, inside, queue, cluster)
        operations = operations_of(
            Chat(ChatService(self.calls, CompletionStore(self.database))),
            Responses(responses),
            Conversations(ConversationsService(self.database, self.keeping)),
            Completions(CompletionsService(self.calls)),
            Embeddings(EmbeddingsService(self.calls)),
            Moderations(ModerationsService(self.calls, Pictures(materials.fetcher))),
            FilesFace(self.files),
            Batches(BatchesService(self.database, self.files, self.jobs, inside, queue)),
            UploadsFace(uploads),
            VectorStoresFace(self.vector_stores, self.limits),
            Models(self.catalog, self.serving),
            *assistants_faces(self.calls, self.database, self.jobs, hosts, self.files, Stores(self.vector_stores)),
            Audio(TranscriptionService(self.calls), SpeechService(self.calls)),
            WebhookEndpoints(self.webhooks),
            *organization_faces(self.database, self.access, self.catalog, self.budgets, self.limits, self.ledger),
        )
        self._v1 = Dispatcher(
            operations,
            self.access,
            max_body_bytes=settings.server.max_body_bytes,
            keepalive_s=settings.server.keepalive_s,
            cors_origins=settings.server.cors_origins,
            sockets=sockets_of(ResponsesSocket(responses)),
            spool=blobs.spool,
        )
        self.console = console = Site(
            self.serving,
            self._v1,
            self.access,
            self.database,
            settings.console,
            self.access.project_name,
            self.limits.standing,
            whole_document,
            Behind(self.budgets, self.webhooks, self.serving, self._recent_responses),
        )
        self._site = Starlette(
            routes=[
                Route("/", lambda request: RedirectResponse("/models")),
                Route("/openapi.json", lambda request: Response(whole_json(), media_type="application/json")),
                *Health(self.database, self.engines, self.metrics, settings.server.metrics_token).routes(),
                *console.routes(missing=_missing(operations, hosts.kinds)),
            ],
            exception_handlers={404: console.nothing},
        )
        self._preloading: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["path"].startswith("/v1/") or scope["path"] == "/v1":
            await self._v1(scope, receive, send)
        else:
            await self._site(scope, receive, send)

    async def start(self) -> None:
        """Settle what a killed process left behind, and begin to load the models that are to be ready."""
        interrupted = await self.ledger.start()
        if interrupted:
            log.warning("calls of a killed process were settled as interrupted", calls=interrupted)
        if self.limits.alone and (others := await self.ledger.others()):
            await self.ledger.close()
            raise SettingsError(
                f"limits.processes: {others} other server{'s work' if others > 1 else ' works'} on this database, and "
                "each would allow the whole of every limit; set limits.store_url of all of them to a Valkey or Redis "
                "server and limits.processes to their number, or limits.tier to off"
            )
        await self.keeping.start()
        self.engine_counts.start()
        await self.catalog.bindings.refresh()
        await self.limits.start()
        if self.settings.batches.runner == "ray":
            await adopt(self.database)
        await self.jobs.start()
        await self.sweeper.start()
        await self.store_sweeper.start()
        await self.storage_fees.start()
        wanted = [found.deployment for model in self.settings.engines.preload if (found := self.catalog.find(model))]
        for deployment in wanted:
            self.engines.expect(deployment)
        self._preloading = asyncio.create_task(self._preload(wanted))

    async def start_worker(self) -> None:
        """Take part as a worker that does the jobs it is told to (``jobs.perform``), and serves nobody."""
        await self.ledger.start()
        await self.catalog.bindings.refresh()
        await self.jobs.start(claims=False)

    async def stop(self) -> None:
        """End engines, write what the ledger still holds, close the database: each also if one before it fails."""
        async with AsyncExitStack() as last_first:
            last_first.push_async_callback(self.database.close)
            last_first.push_async_callback(self.ledger.close)
            last_first.push_async_callback(self.keeping.close)
            last_first.push_async_callback(self.engine_counts.close)
            last_first.push_async_callback(self.limits.close)
            last_first.push_async_callback(self.engines.close)
            last_first.push_async_callback(self.webhooks.close)
            last_first.push_async_callback(self.console.close)
            last_first.push_async_callback(self.jobs.stop)
            last_first.push_async_callback(self.sweeper.stop)
            last_first.push_async_callback(self.store_sweeper.stop)
            if self._preloading is not None:
                self._preloading.cancel()
                await asyncio.gather(self._preloading, return_exceptions=True)

    async def _recent_responses(self, project_id: str, after: str | None, limit: int) -> tuple[list[Listed], bool]:
        return await self.database.read(lambda c: recent_responses(c, project_id, after, limit))

    async def _preload(self, wanted: Iterable[Deployment]) -> None:
        for each in self.catalog.deployed():
            await self.engines.inspect(each.deployment)
        for deployment in wanted:
            await self.engines.preload(deployment)
        # Whoever opens the API reference first would wait for it; the first requests should not.
        await asyncio.sleep(WARM_AFTER_S)
        await asyncio.to_thread(self.console.warm)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    await self.start()
                except Exception as error:
                    log.exception("start failed")
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    return
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return


def _beside(database: Database, name: str) -> Path | None:
    """The folder of a journal beside a database's file; none beside a database that other machines may share."""
    return None if database.file is None else beside(database.file, name)


def _mcp_bounds(mcp: MCPSettings) -> Bounds:
    return Bounds(list_s=mcp.list_timeout_s, call_s=mcp.call_timeout_s, output_chars=mcp.max_result_chars)


def _missing(operations: Iterable[Operation], hosted_tools: frozenset[str]) -> set[str]:
    """What cards promise and no operation serves yet: said on the model pages, so that nobody is misled."""
    paths = {operation.path for operation in operations}
    missing = {
        f"endpoints.{key}"
        for key, term in load_terms().endpoints.items()
        if not any(path == term.prefix or path.startswith(f"{term.prefix}/") for path in paths)
    }
    if "endpoints.fine_tuning" in missing:
        missing |= {"features.fine_tuning", "features.distillation"}
    return missing | {f"tools.{key}" for key in load_terms().tools if key not in hosted_tools}
