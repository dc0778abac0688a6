"""One server and one browser for all tests that use the console as people do."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.chromium import BROWSER, Tab, chromium
from tests.ecosystem.model import rule_model

from .seeding import Seeded, new_server, sign_in, start


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seeded]:
    if BROWSER is None and not os.environ.get("CI"):
        pytest.skip("no Chromium: apt-get install chromium")
    with rule_model() as url:
        server = new_server(tmp_path_factory.mktemp("console") / "data")
        try:
            yield start(server, url)
            assert server.tracebacks == []
        finally:
            server.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def tab(seeded: Seeded) -> AsyncIterator[Tab]:
    """A browser that Ada, the owner, is signed in with."""
    async with chromium() as tab:
        await sign_in(tab, seeded.root)
        yield tab


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots are kept: the folder that ARTIFACTS_DIR names, for who wants to look at them."""
    named = os.environ.get("ARTIFACTS_DIR")
    folder = Path(named).resolve() if named else tmp_path_factory.mktemp("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
