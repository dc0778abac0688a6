"""Budgets, usage and costs through a running server, with the official SDK."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import openai
from openai import AsyncOpenAI

from inhouse.access import Access
from inhouse.metering.verify import verify
from inhouse.storage.database import Database

WORDS = 40
COST = 12 * 2000 + WORDS * 8000
"""Nano-dollars of one request."""


async def ask(client: AsyncOpenAI) -> Any:
    return await client.chat.completions.create(
        model="gpt-4.1",
        messages=[{"role": "user", "content": str(WORDS)}],
        max_tokens=WORDS,
        stream=True,
        stream_options={"include_usage": True},
    )


async def drained(client: AsyncOpenAI) -> str:
    text = ""
    async for chunk in await ask(client):
        text += "".join(choice.delta.content or "" for choice in chunk.choices)
    return text


async def test_budgets_usage_and_costs(
    database: Database, database_url: str, engine_url: str, tmp_path: Path, start_server: Any, make_platform: Any
) -> None:
    key = await make_platform(database, engine_url)
    admin = await Access(database).create_key("admin", kind="admin")
    async with start_server(database_url, tmp_path / "server") as running:
        client = AsyncOpenAI(
            api_key=key, admin_api_key=admin.secret, base_url=f"{running.url}/v1", max_retries=2, timeout=60
        )
        organization = client.admin.organization
        assert (await drained(client)).split() == ["word"] * WORDS
        now = int(time.time())
        page = await organization.usage.completions(start_time=now - 120, bucket_width="1m", group_by=["model"])
        (result,) = [each for bucket in page.data for each in bucket.results]
        assert (result.model, result.num_model_requests) == ("gpt-4.1-2025-04-14", 1)
        assert (result.input_tokens, result.output_tokens) == (12, WORDS)
        costs = await organization.usage.costs(start_time=now - 60)
        assert sum(each.amount.value for bucket in costs.data for each in bucket.results) == COST / 1e9

        # A cent is enough for 28; what they reserve is more than they use.
        await organization.spend_limit.update(threshold_amount=1, currency="USD", interval="month")

        refusals: list[openai.RateLimitError] = []

        async def one() -> bool:
            try:
                await drained(client)
            except openai.RateLimitError as refusal:
                refusals.append(refusal)
                return False
            return True

        passed = 1
        began = time.monotonic()
        while time.monotonic() - began < 30:
            outcomes = await asyncio.gather(*(one() for _ in range(12)))
            passed += sum(outcomes)
            if not any(outcomes):
                break
        assert 1 < passed <= 10_000_000 // COST
        for refusal in refusals:
            assert (refusal.type, refusal.code) == ("insufficient_quota", "insufficient_quota")
            assert refusal.response.headers["x-should-retry"] == "false"
        limit = await organization.spend_limit.retrieve()
        assert limit.threshold_amount == 1
        await organization.spend_limit.delete()
        assert await one()
        await client.close()
    verdict = await verify(database)
    assert verdict.clean, verdict
    assert verdict.calls == passed + 1, "what was refused is not in the ledger"
