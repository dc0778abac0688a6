"""The whole site within this process, and a client that uses it as a browser does."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2

from inhouse.access import Access
from inhouse.app import Platform
from inhouse.settings import ConsoleSettings, Engines, Secret, Settings


class Browser:
    """A client that keeps cookies and fills in forms."""

    def __init__(self, platform: Platform) -> None:
        transport = httpx2.ASGITransport(app=platform)
        self.client = httpx2.AsyncClient(transport=transport, base_url="http://console.test")

    async def get(self, path: str) -> httpx2.Response:
        return await self.client.get(path)

    async def post(self, path: str, **fields: str) -> httpx2.Response:
        return await self.client.post(path, data=fields)

    async def token(self, path: str) -> str:
        found = re.search(r'name="csrf" value="([0-9a-f]{64})"', (await self.get(path)).text)
        assert found is not None
        return found[1]

    async def sign_in(self, key: str, to: str = "/dashboard") -> httpx2.Response:
        return await self.post("/sign-in", csrf=await self.token("/sign-in"), key=key, next=to)

    async def api(self, method: str, path: str, csrf: str | None, **options: object) -> httpx2.Response:
        headers = {} if csrf is None else {"x-csrf-token": csrf}
        return await self.client.request(method, f"/console/v1{path}", headers=headers, **options)


class Running:
    def __init__(self, platform: Platform, key: str, admin: str) -> None:
        self.platform, self.key, self.admin = platform, key, admin

    def browser(self) -> Browser:
        return Browser(self.platform)

    async def key_of_another_project(self) -> str:
        browser = self.browser()
        await browser.sign_in(self.admin)
        csrf = await browser.token("/dashboard/projects")
        made = (await browser.api("POST", "/organization/projects", csrf, json={"name": "Other"})).json()
        return (await self.platform.access.create_key("other", project_id=made["id"])).secret


@asynccontextmanager
async def running_site(folder: Path, console: ConsoleSettings | None = None) -> AsyncIterator[Running]:
    key, admin = f"sk-proj-{secrets.token_hex(24)}", f"sk-admin-{secrets.token_hex(24)}"
    settings = Settings(
        data_dir=folder,
        cache_dir=folder / "cache",
        api_key=Secret(key),
        admin_key=Secret(admin),
        engines=Engines(preload=[]),
        console=console or ConsoleSettings(),
    )
    platform = Platform(settings)
    platform.database.migrate()
    await Access(platform.database).bootstrap(key, admin)
    await platform.start()
    try:
        yield Running(platform, key, admin)
    finally:
        await platform.stop()
