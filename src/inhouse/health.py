"""For operators and orchestrators: is it alive, would it answer, how is it doing."""

from __future__ import annotations

import asyncio
import hmac

from sqlalchemy import text
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from inhouse.engines.pool import EnginePool
from inhouse.metering.metrics import Metrics
from inhouse.settings import Secret
from inhouse.storage.database import Database

DATABASE_SECONDS = 2.0


class Health:
    """``/healthz``, ``/readyz`` and ``/metrics``."""

    def __init__(
        self, database: Database, engines: EnginePool, metrics: Metrics, metrics_token: Secret | None = None
    ) -> None:
        self._database = database
        self._engines = engines
        self._metrics = metrics
        self._metrics_token = metrics_token

    def routes(self) -> list[Route]:
        return [
            Route("/healthz", self.alive),
            Route("/readyz", self.ready),
            Route("/metrics", self.metrics),
        ]

    async def alive(self, request: Request) -> Response:
        """The process answers."""
        return JSONResponse({"status": "ok"})

    async def ready(self, request: Request) -> Response:
        """A request would be answered: the database does, and every preloaded engine is up."""
        checks = {"database": await self._database_answers(), **self._engines.readiness()}
        ready = all(state == "ok" for state in checks.values())
        return JSONResponse({"status": "ok" if ready else "unavailable", "checks": checks}, 200 if ready else 503)

    async def metrics(self, request: Request) -> Response:
        if self._metrics_token is not None:
            given = request.headers.get("authorization", "").removeprefix("Bearer ")
            if not hmac.compare_digest(given.encode(), self._metrics_token.reveal().encode()):
                return Response(status_code=401, headers={"www-authenticate": "Bearer"})
        return Response(self._metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def _database_answers(self) -> str:
        try:
            async with asyncio.timeout(DATABASE_SECONDS):
                await self._database.read(lambda connection: connection.execute(text("SELECT 1")).scalar_one())
        except Exception as error:
            return type(error).__name__
        return "ok"
