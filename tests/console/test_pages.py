"""Every page in a real browser: sound for a screen reader, whole at phone width, light to load, nothing refused."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.chromium import Tab

from .seeding import Seeded

pytestmark = pytest.mark.asyncio(loop_scope="session")

AXE = Path(sys.prefix) / "ecosystem-js" / "node_modules" / "axe-core" / "axe.min.js"
WIDE, NARROW = 1440, 390
MOST_SCRIPT = 150_000
"""Bytes of JavaScript that a page may load."""
PAGES = {
    "models": "/models",
    "model": "/models/gpt-4.1",
    "compare": "/models/compare?model=gpt-4.1&model=gpt-4.1-nano",
    "docs": "/docs/quickstart",
    "docs-search": "/docs?q=limit",
    "reference": "/reference",
    "reference-family": "/reference/files",
    "sign-in": "/sign-in",
    "welcome": "/welcome?token=spent",
    "playground": "/playground",
    "account": "/account",
    "overview": "/dashboard",
    "usage": "/dashboard/usage",
    "limits": "/dashboard/limits",
    "budgets": "/dashboard/budgets",
    "keys": "/dashboard/keys",
    "projects": "/dashboard/projects",
    "members": "/dashboard/members",
    "member": "/dashboard/members/{user}",
    "logs": "/dashboard/logs",
    "logs-responses": "/dashboard/logs?kind=responses",
    "log-response": "/dashboard/logs/{response}",
    "log-completion": "/dashboard/logs/{completion}",
    "batches": "/dashboard/batches",
    "batch": "/dashboard/batches?batch={batch}",
    "files": "/dashboard/files",
    "stores": "/dashboard/stores",
    "store": "/dashboard/stores/{store}?q=coffee",
    "webhooks": "/dashboard/webhooks",
    "audit": "/dashboard/audit",
    "engines": "/dashboard/engines",
}
# Every path of the site that is a page, so that none can be added without a picture.
NOT_PAGES = re.compile(
    r"/live$|^/static|^/console|^/sign-out|^/healthz|^/readyz|^/metrics|^/openapi|^/docs/images|/code$|/content$|\.csv$|^/account/|^/sign-in/|^/$"
)


@pytest.mark.parametrize("name", PAGES)
async def test_a_page(name: str, tab: Tab, seeded: Seeded, pictures: Path) -> None:
    path = PAGES[name].format(**vars(seeded))
    expected = ["Failed to load resource: the server responded with a status of 404 (Not Found)"] * (name == "welcome")
    tab.problems.clear()
    await tab.shape(WIDE, dark=False)
    await tab.open(seeded.root + path)
    assert await tab.evaluate("location.pathname") == path.partition("?")[0]
    loaded = "performance.getEntriesByType('resource').filter(each => each.initiatorType === 'script')"
    assert await tab.evaluate(f"{loaded}.reduce((sum, each) => sum + each.decodedBodySize, 0)") < MOST_SCRIPT
    assert await tab.evaluate("document.querySelectorAll('main h1').length") == 1
    # Every rule at both widths; what only colours change, in the other scheme of each.
    await tab.picture(pictures / f"{name}-{WIDE}.png", WIDE)
    assert await violations(tab) == []
    await tab.shape(WIDE, dark=True)
    assert await violations(tab, "color-contrast") == []
    await tab.shape(NARROW, dark=True)
    assert await tab.evaluate("document.documentElement.scrollWidth") <= NARROW
    await tab.picture(pictures / f"{name}-{NARROW}.png", NARROW, dark=True)
    assert await violations(tab) == []
    await tab.shape(NARROW, dark=False)
    assert await violations(tab, "color-contrast") == []
    assert tab.problems == expected


async def violations(tab: Tab, *rules: str) -> list[tuple[str, list[str]]]:
    """What axe finds serious: the rule and where."""
    if not AXE.exists():
        pytest.skip(f"{AXE} is missing: `make test` installs it where there is npm")
    if not await tab.evaluate("typeof axe === 'object'"):
        await tab.evaluate(AXE.read_text() + "; 1")
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = {"type": "rule", "values": list(rules)}
    found = json.loads(
        await tab.evaluate(f"axe.run(document, {json.dumps(options)}).then(found => JSON.stringify(found.violations))")
    )
    return [
        (each["id"], [node["html"][:200] for node in each["nodes"]][:5])
        for each in found
        if each["impact"] in ("serious", "critical")
    ]


async def test_no_page_is_without_a_picture(seeded: Seeded) -> None:
    from inhouse.app import Platform
    from inhouse.settings import Engines, Settings

    platform = Platform(Settings(data_dir=seeded.server.data_dir / "unused", engines=Engines(preload=[])))
    paths = [
        route.path  # type: ignore[attr-defined]
        for route in platform._site.routes
        if "GET" in (getattr(route, "methods", None) or ())
    ]
    shown = [path.partition("?")[0] for path in PAGES.values()]
    for path in paths:
        if not NOT_PAGES.search(path):
            pattern = re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path) + "$")
            assert any(pattern.match(each) for each in shown), path
    await platform.database.close()
