"""Lists of the dashboard beyond their first page: everything in them is reached, and found by its words."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select

from inhouse.access.sessions import Keys
from inhouse.console.dashboard.usage import Usage
from inhouse.console.docs_pages import MORE, Docs
from inhouse.console.finding import Finding
from inhouse.console.gateway import Operations
from inhouse.storage.database import Database
from inhouse.storage.schema import api_keys, files, organizations, projects, users, vector_stores

from .browsing import Browser, Running, running_site

MANY = 130
"""More than an operation tells at once."""
OTHER = "org-other"


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    async with running_site(tmp_path) as running:
        yield running


async def fill(database: Database) -> str:
    """Many of everything, and the same names in another organization; the id of the project that has them."""

    def work(connection: Connection) -> str:
        organization, project = connection.execute(select(projects.c.organization_id, projects.c.id)).one()
        late = 2_000_000_000_000_000
        connection.execute(insert(organizations).values(id=OTHER, name="Other", created_at=late))
        for place, (org, mine) in enumerate(((organization, project), (OTHER, "proj_other"))):
            if org == OTHER:
                connection.execute(insert(projects).values(id=mine, organization_id=OTHER, name="X", created_at=late))
            for table, row in rows(org, mine):
                made: list[dict[str, Any]] = []
                for number in range(MANY):
                    shown = {
                        name: str(value).replace("#", f"{number:03}") if isinstance(value, str) else value
                        for name, value in row.items()
                    }
                    when = "added_at" if table is users else "created_at"
                    made.append({**shown, "id": f"{shown['id']}-{place}", when: late + number})
                connection.execute(insert(table), made)
        return project

    return await database.write(work)


def rows(organization: str, project: str) -> list[tuple[Any, dict[str, Any]]]:
    of = {"organization_id": organization}
    file = {"project_id": project, "filename": "report-#.pdf", "purpose": "user_data", "media_type": "text/plain"}
    key = {"project_id": project, "kind": "project", "name": "Key #", "hint": "sk-…", "hash": f"#{organization}"}
    store = {"project_id": project, "name": "100% of #", "metadata": "{}", "last_active_at": 0, "revision": 0}
    return [
        (projects, {"id": "proj_#", **of, "name": "Team #"}),
        (api_keys, {"id": "key_#", **of, **key}),
        (users, {"id": "user-#", **of, "name": "Person #", "email": "p#@example.com", "role": "reader"}),
        (files, {"id": "file-#", **file, "bytes": 1, "sha256": "0", "blob": f"#{organization}"}),
        (vector_stores, {"id": "vs_#", **store}),
    ]


def names(text: str, wanted: str) -> list[str]:
    main = text[text.index("<main") :]
    return re.findall(wanted, re.sub(r"<select.*?</select>", "", main, flags=re.S))


async def everything(browser: Browser, path: str, wanted: str) -> list[str]:
    """What a list tells on all its pages, by the links that lead from one to the next."""
    found: list[str] = []
    while path:
        answer = await browser.get(path)
        assert answer.status_code == 200
        found += names(answer.text, wanted)
        following = re.search(r'rel="next" href="([^"]+)"', answer.text)
        path = following[1].replace("&amp;", "&") if following else ""
    return found


async def test_everything_is_reached_and_found(running: Running) -> None:
    project = await fill(running.platform.database)
    browser = running.browser()
    await browser.sign_in(running.key)
    await browser.sign_in(running.admin)
    for path, wanted in (
        ("/dashboard/keys", r'<th scope="row" class="name">(Key \d+)'),
        ("/dashboard/projects", r'<th scope="row" class="name">(Team \d+)'),
        ("/dashboard/members", r">(Person \d+)</a>"),
        ("/dashboard/files", r'<th scope="row" class="name">(report-\d+.pdf)'),
        ("/dashboard/stores", r">(100% of \d+)</a>"),
        ("/dashboard/budgets", r"<h2>(Team \d+)"),
    ):
        found = await everything(browser, path, wanted)
        assert len(found) == len(set(found)) == MANY, path
        one = await browser.get(f"{path}?q={found[77].rpartition(' ')[2]}")
        assert names(one.text, wanted) == [found[77]]
        assert "Show all" in (await browser.get(f"{path}?q=nothing+like+this")).text
        for strange in ("page=0", "page=99999999999", "page=%C2%B2", "q=%25&page=x", "q=%00", "q=" + "w+" * 400):
            assert (await browser.get(f"{path}?{strange}")).status_code == 200, strange
    # A percent sign is one, not anything.
    assert len(await everything(browser, "/dashboard/stores?q=0%25", r">(100% of \d+)</a>")) == MANY
    assert len(await everything(browser, "/dashboard/stores?q=1%250", r">(100% of \d+)</a>")) == 0
    # Of another project there are none; which one is asked for changes nothing else.
    assert (await everything(browser, "/dashboard/keys?project=proj_001-0", r">(Key \d+)")) == []
    assert len(await everything(browser, f"/dashboard/keys?project={project}", r">(Key \d+)")) == MANY
    finding = Finding(running.platform.database)
    assert (await finding.find("keys", OTHER, of=project)).total == 0


async def test_a_project_is_renamed_and_a_person_looked_after(running: Running) -> None:
    await fill(running.platform.database)
    browser = running.browser()
    await browser.sign_in(running.admin)
    csrf = await browser.token("/dashboard/projects")
    fields = {"csrf": csrf, "do": "rename", "project": "proj_120-0"}
    assert (await browser.post("/dashboard/projects", **fields, name="Kiosk")).status_code == 303
    assert names((await browser.get("/dashboard/projects?q=kiosk")).text, r'class="name">(\w+)<') == ["Kiosk"]
    theirs = {**fields, "project": "proj_120-1"}
    assert (await browser.post("/dashboard/projects", **theirs, name="x")).status_code == 400
    here = "/dashboard/members/user-120-0"
    about = {"csrf": csrf, "user": "user-120-0"}
    changed = await browser.post("/dashboard/members", **about, do="join", project="proj_120-0", project_role="owner")
    assert (changed.status_code, changed.headers["location"]) == (303, here)
    page = (await browser.get(here)).text
    assert "p120@example.com" in page
    assert names(page, r'class="name">(\w+)</th><td data-label="Role">(\w+)') == [("Kiosk", "Owner")]
    again = await browser.post("/dashboard/members", **about, do="join", project="proj_120-0", project_role="owner")
    assert (again.status_code, 'class="problem"' in again.text) == (400, True)
    assert "/welcome?token=" in (await browser.post("/dashboard/members", **about, do="link")).text
    for nobody in ("user-120-1", "nope", "..%2F..%2Fprojects"):
        assert (await browser.get(f"/dashboard/members/{nobody}")).status_code == 404
    types = names((await browser.get("/dashboard/audit?type=project.updated")).text, r"<code>([\w.]+)</code>")
    assert types == ["project.updated"]
    # A type that is none asks for nothing, rather than telling all that there are.
    assert len(set(names((await browser.get("/dashboard/audit?type=nope")).text, r"<code>([\w.]+)</code>"))) > 1


async def test_files_are_downloaded_and_never_shown_as_pages(running: Running) -> None:
    mine, theirs = running.browser(), running.browser()
    await mine.sign_in(running.key)
    await theirs.sign_in(await running.key_of_another_project())
    csrf = await mine.token("/dashboard")
    page = b"<script>alert(1)</script>"
    file = {"file": ("evil.html", page, "text/html")}
    id = (await mine.api("POST", "/files", csrf, files=file, data={"purpose": "user_data"})).json()["id"]
    path = f"/dashboard/files/{id}/content"
    assert path in (await mine.get("/dashboard/files")).text
    answer = await mine.get(path)
    assert (answer.status_code, answer.content) == (200, page)
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "text/html" not in answer.headers["content-type"]
    part = await mine.client.get(path, headers={"range": "bytes=1-6"})
    assert (part.status_code, part.content) == (206, b"script")
    missing = await mine.get(path.replace(id, "file-none"))
    assert (missing.status_code, 'class="problem"' in missing.text) == (404, True)
    assert (await mine.get(path.replace(id, "..%2F..%2Fmodels"))).status_code == 404
    assert (await theirs.get(path)).status_code == 404
    assert (await running.browser().get(path)).status_code == 303


async def test_what_stands_against_a_change_is_told_where_it_was_made(running: Running) -> None:
    browser = running.browser()
    await browser.sign_in(running.key)
    csrf = await browser.token("/dashboard")
    store = (await browser.api("POST", "/vector_stores", csrf, json={"name": "Handbook"})).json()["id"]
    answer = await browser.post("/dashboard/stores", csrf=csrf, do="add", store=store, file="file-none")
    assert answer.status_code == 400
    assert "No such File object: file-none" in answer.text
    assert "<h1>Handbook</h1>" in answer.text
    assert 'class="problem"' in (await browser.get("/dashboard/batches?after=nope")).text


async def test_a_batch_is_sent_from_the_page(running: Running) -> None:
    browser = running.browser()
    await browser.sign_in(running.key)
    csrf = await browser.token("/dashboard")
    assert "Send the batch" not in (await browser.get("/dashboard/batches")).text
    file = {"file": ("mine.jsonl", b"nonsense\n")}
    id = (await browser.api("POST", "/files", csrf, files=file, data={"purpose": "batch"})).json()["id"]
    assert f'<option value="{id}">mine.jsonl' in (await browser.get("/dashboard/batches")).text
    fields = {"csrf": csrf, "do": "create", "input_file_id": id}
    wrong = await browser.post("/dashboard/batches", **fields, endpoint="/v1/nope")
    assert (wrong.status_code, 'class="problem"' in wrong.text) == (400, True)
    sent = await browser.post("/dashboard/batches", **fields, endpoint="/v1/responses")
    assert sent.status_code == 303
    page = ""
    for _ in range(600):
        page = (await browser.get(sent.headers["location"])).text
        if ">Failed</dd>" in page:
            break
        await asyncio.sleep(0.1)
    assert "Line 1: " in page
    assert f"/dashboard/files/{id}/content" in page


async def test_whoever_watches_for_a_client_that_leaves_ends_with_the_call() -> None:
    watching: list[asyncio.Task[Any]] = []

    async def v1(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        watching.append(asyncio.create_task(receive()))
        await asyncio.sleep(0)
        assert not watching[0].done(), "the request is not over"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    somebody: Any = SimpleNamespace(person=None, keys=Keys("sk-proj-x", ""))
    assert (await Operations(v1).call(somebody, "GET", "/v1/models")).ok
    assert await asyncio.wait_for(watching[0], 30) == {"type": "http.disconnect"}


async def test_costs_as_csv_are_no_formulas(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    async def spent(self: Usage, *_: Any) -> list[tuple[int, str, float]]:
        return [(86_400, "=cmd()", 0.5), (0, "Team, one", 0.25), (86_400, "=cmd()", 0.25)]

    monkeypatch.setattr(Usage, "_spent", spent)
    browser = running.browser()
    await browser.sign_in(running.admin)
    answer = await browser.get("/dashboard/usage.csv?by=project&days=90")
    assert answer.headers["content-disposition"] == 'attachment; filename="costs-by-project.csv"'
    assert answer.text.splitlines() == [
        "date,project,cost_usd",
        '1970-01-01,"Team, one",0.250000000',
        "1970-01-02,'=cmd(),0.750000000",
    ]


async def test_every_guide_has_its_place_and_leads_on(running: Running) -> None:
    docs = running.platform.console.docs
    assert MORE not in dict(docs.groups)
    browser = running.browser()
    path, seen = "/docs/quickstart", list[str]()
    while path:
        page = (await browser.get(path)).text
        assert f'<a rel="prev" href="{seen[-1]}">' in page if seen else 'rel="prev"' not in page
        seen.append(path)
        following = re.search(r'rel="next" href="([^"]+)"', page)
        path = following[1] if following else ""
    assert sorted(seen) == sorted(f"/docs/{name}" for name in docs.documents)
    anchors = re.findall(r'<h2 id="([\w-]+)">.*?<a class="anchor" href="#([\w-]+)" aria-label="Link to', page)
    assert anchors
    assert all(anchor == target for anchor, target in anchors)


def test_the_docs_are_searched_by_words(tmp_path: Path) -> None:
    limits = "## Limits\n\nA rate_limit is a limit; ratelimit headers tell it.\n"
    text = f"# Guide\n\n## Making\n\nIt will generate text.\n\n{limits}"
    (tmp_path / "guide.md").write_text(text)
    docs = Docs(None, tmp_path)  # type: ignore[arg-type]
    assert [hit.section.heading for hit in docs.search("rate")] == ["Limits"]
    assert [hit.section.heading for hit in docs.search("limit TELL")] == ["Limits"]
    assert docs.search("[(") == []
    (hit,) = docs.search("generate")
    assert (hit.before, hit.found, hit.after) == ("It will ", "generate", " text.")
