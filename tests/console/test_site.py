from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urldefrag, urljoin

import pytest

from inhouse.access.sessions import Keys, Sessions
from inhouse.console.session import COOKIE
from inhouse.storage.database import Database

from .browsing import Running, running_site

PROJECT_PAGES = ("/playground", "/dashboard/logs", "/dashboard/files", "/dashboard/webhooks")
ADMIN_PAGES = ("/dashboard/usage", "/dashboard/keys", "/dashboard/projects", "/dashboard/audit")
OTHER_PAGES = ("/dashboard", "/dashboard/limits", "/dashboard/engines")
OPEN_PAGES = (
    "/models",
    "/models/compare",
    "/docs/quickstart",
    "/docs?q=limit",
    "/reference",
    "/reference/chat",
    "/sign-in",
)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    async with running_site(tmp_path) as site:
        yield site


async def test_nobody_sees_what_is_somebodys(running: Running) -> None:
    browser = running.browser()
    for path in (*PROJECT_PAGES, *ADMIN_PAGES, *OTHER_PAGES):
        answer = await browser.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/sign-in?next={path.replace('/', '%2F')}")
    for path in ("/dashboard/keys", "/dashboard/projects"):
        assert (await browser.post(path, do="create", name="x")).status_code == 303
    assert (await browser.api("GET", "/files", "0" * 64)).status_code == 401


async def test_what_is_to_read_is_open_and_guarded(running: Running) -> None:
    for path in OPEN_PAGES:
        answer = await running.browser().get(path)
        assert answer.status_code == 200
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert not re.search(r"<script(?![^>]* src=)|\son\w+=|\sstyle=|javascript:", answer.text)


async def test_a_key_signs_in_and_is_never_told(running: Running) -> None:
    browser = running.browser()
    answer = await browser.sign_in(running.key, "/dashboard/logs?after=x")
    assert (answer.status_code, answer.headers["location"]) == (303, "/dashboard/logs?after=x")
    cookie = next(each for each in answer.headers.get_list("set-cookie") if each.startswith(COOKIE))
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert running.key not in str(answer.headers)
    for path in (*PROJECT_PAGES, *OTHER_PAGES):
        page = await browser.get(path)
        assert page.status_code == 200, path
        assert running.key not in page.text
    for path in ADMIN_PAGES:
        assert (await browser.get(path)).status_code == 403, path
    await browser.sign_in(running.admin)
    for path in (*PROJECT_PAGES, *ADMIN_PAGES, *OTHER_PAGES):
        assert (await browser.get(path)).status_code == 200, path


async def test_no_link_of_any_page_is_dead(running: Running) -> None:
    browser = running.browser()
    await browser.sign_in(running.key)
    await browser.sign_in(running.admin)
    waiting, seen = ["/dashboard", "/models", "/docs", "/reference"], dict[str, str]()
    wanted: list[tuple[str, str, str]] = []
    while waiting:
        url = waiting.pop()
        if url in seen or url.startswith("/static/"):
            continue
        answer = await browser.client.get(url, follow_redirects=True)
        assert answer.status_code == 200, url
        seen[url] = answer.text
        if "text/html" in answer.headers["content-type"]:
            for link in re.findall(r'(?:href|src)="([^"]+)"', answer.text):
                target, anchor = urldefrag(urljoin(url, link.replace("&amp;", "&")))
                if target.startswith("/") and not target.startswith("/models/compare?"):
                    waiting.append(target)
                    if anchor:
                        wanted.append((url, target, anchor))
    assert len(seen) > 60
    for source, target, anchor in wanted:
        assert f'id="{anchor}"' in seen[target], (source, target, anchor)


async def test_a_wrong_key_signs_nobody_in(running: Running) -> None:
    browser = running.browser()
    for key in ["", "sk-proj-wrong", "sk-admin-" + "x" * 500, "ключ", "a\r\nb", "<script>"]:
        answer = await browser.sign_in(key)
        assert answer.status_code == 401
        assert "This key is not valid here" in answer.text
        assert COOKIE not in browser.client.cookies


async def test_wrong_keys_cannot_be_tried_for_ever(running: Running) -> None:
    browser = running.browser()
    statuses = [(await browser.sign_in("sk-proj-wrong")).status_code for _ in range(11)]
    assert statuses == [401] * 10 + [429]
    assert (await browser.sign_in(running.key)).status_code == 429


async def test_wrong_keys_at_once_are_no_more(running: Running) -> None:
    browser = running.browser()
    csrf = await browser.token("/sign-in")
    answers = await asyncio.gather(*(browser.post("/sign-in", csrf=csrf, key="sk-proj-wrong") for _ in range(30)))
    assert sorted(each.status_code for each in answers) == [401] * 10 + [429] * 20


async def test_the_reference_is_made_when_nobody_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inhouse.app.WARM_AFTER_S", 0.0)
    async with running_site(tmp_path) as running:
        while not (reference := running.platform.console.reference).is_warm:
            await asyncio.sleep(0.01)
        monkeypatch.setattr("inhouse.api.openapi.document", None)
        monkeypatch.setattr(reference, "_document", None)
        browser = running.browser()
        assert (await browser.get("/reference/files")).status_code == 200
        assert (await browser.get("/openapi.json")).json()["paths"].keys() >= {"/files", "/responses"}


async def test_signing_in_leads_nowhere_else(running: Running) -> None:
    for to in ["https://evil.test/", "//evil.test", "/\\evil.test", "javascript:alert(1)", "/a\nb", ""]:
        assert (await running.browser().sign_in(running.key, to)).headers["location"] == "/dashboard"


async def test_a_change_must_prove_that_it_comes_from_here(running: Running) -> None:
    browser = running.browser()
    await browser.sign_in(running.admin)
    csrf = await browser.token("/dashboard/projects")
    for wrong in ({}, {"csrf": ""}, {"csrf": "0" * 64}):
        assert (await browser.post("/dashboard/projects", do="create", name="Evil", **wrong)).status_code == 403
    for foreign in ({"origin": "https://evil.test"}, {"sec-fetch-site": "cross-site"}):
        answer = await browser.client.post(
            "/dashboard/projects", data={"do": "create", "name": "Evil", "csrf": csrf}, headers=foreign
        )
        assert answer.status_code == 403
    assert "Evil" not in (await browser.get("/dashboard/projects")).text
    assert (await browser.post("/dashboard/projects", do="create", name="<b>Good</b>", csrf=csrf)).status_code == 303
    assert "&lt;b&gt;Good&lt;/b&gt;" in (await browser.get("/dashboard/projects")).text


async def test_the_gateway_wants_the_token_even_to_read(running: Running) -> None:
    browser = running.browser()
    await browser.sign_in(running.key)
    csrf = await browser.token("/dashboard")
    assert (await browser.api("GET", "/files", None)).status_code == 403
    assert (await browser.api("GET", "/files", "0" * 64)).status_code == 403
    answer = await browser.api("GET", "/files", csrf)
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert (await browser.api("GET", "/organization/projects", csrf)).status_code == 401
    missing = await browser.api("POST", "/responses", csrf, json={"model": "no-such-model", "input": "hi"})
    assert missing.json()["error"]["code"] == "model_not_found"


async def test_another_project_sees_nothing_of_this_one(running: Running) -> None:
    owner, stranger = running.browser(), running.browser()
    await owner.sign_in(running.key)
    csrf = await owner.token("/dashboard")
    upload = {"file": ("secret-plan.txt", b"<script>alert(1)</script>", "text/html")}
    made = await owner.api("POST", "/files", csrf, files=upload, data={"purpose": "user_data"})
    assert made.status_code == 200
    assert "secret-plan.txt" in (await owner.get("/dashboard/files")).text
    conversation = (await owner.api("POST", "/conversations", csrf, json={})).json()["id"]
    await stranger.sign_in(await running.key_of_another_project())
    assert "secret-plan.txt" not in (await stranger.get("/dashboard/files")).text
    theirs = await stranger.token("/dashboard")
    assert (await stranger.api("GET", f"/files/{made.json()['id']}", theirs)).status_code == 404
    assert (await stranger.api("GET", f"/conversations/{conversation}", theirs)).status_code == 404
    assert (await stranger.api("GET", f"/conversations/{conversation}", csrf)).status_code == 403


async def test_a_key_is_made_shown_once_and_revoked(running: Running) -> None:
    browser, user = running.browser(), running.browser()
    await browser.sign_in(running.admin)
    page = (await browser.get("/dashboard/keys")).text
    csrf = await browser.token("/dashboard/keys")
    project = re.findall(r'<option value="(proj_[^"]+)">', page)[0]
    made = await browser.post("/dashboard/keys", csrf=csrf, do="create", name="Crawler", project=project)
    secret = re.findall(r"<code>(sk-[^<]+)</code></p>", made.text)[0]
    assert made.headers["cache-control"] == "no-store"
    assert (await user.sign_in(secret)).status_code == 303
    assert (await user.get("/dashboard/files")).status_code == 200
    listed = (await browser.get("/dashboard/keys")).text
    assert secret not in listed
    row = next(row for row in re.findall(r"<tr>.*?</tr>", listed, re.S) if "Crawler" in row)
    key = re.findall(r'name="key" value="([^"]+)"', row)[0]
    account = re.findall(r'name="account" value="([^"]+)"', row)[0]
    fields = {"project": project, "key": key, "account": account}
    revoked = await browser.post("/dashboard/keys", csrf=csrf, do="revoke", **fields)
    assert revoked.status_code == 303, revoked.text
    # The session of a revoked key opens nothing any more.
    assert (await user.get("/dashboard/files")).status_code == 303


async def test_an_address_that_leads_nowhere_is_a_page_for_people(running: Running) -> None:
    browser = running.browser()
    for path in ("/nope", "/dashboard/nope", "/chat/completions"):
        page = await browser.client.get(path, headers={"accept": "text/html,*/*"})
        assert (page.status_code, "Nothing here" in page.text) == (404, True)
        program = await browser.get(path)
        assert (program.status_code, program.text) == (404, "Not Found")


async def test_signing_out_ends_the_session_for_good(running: Running) -> None:
    browser = running.browser()
    await browser.sign_in(running.key)
    cookie = browser.client.cookies[COOKIE]
    csrf = await browser.token("/dashboard")
    await browser.post("/sign-out", csrf="0" * 64)
    assert (await browser.get("/dashboard")).status_code == 200
    await browser.post("/sign-out", csrf=csrf)
    thief = running.browser()
    thief.client.cookies.set(COOKIE, cookie)
    assert (await thief.get("/dashboard")).status_code == 303


async def test_strange_input_is_an_answer_not_a_failure(running: Running) -> None:
    browser = running.browser()
    browser.client.cookies.set(COOKIE, "x" * 3000)
    assert (await browser.get("/dashboard")).status_code == 303
    browser.client.cookies.clear()
    await browser.sign_in(running.key)
    await browser.sign_in(running.admin)
    csrf = await browser.token("/dashboard/keys")
    for path in ("/dashboard/logs/%3Cscript%3E", "/dashboard/logs?id=resp_..%2F..", "/dashboard/logs/chatcmpl-a%2Fb"):
        answer = await browser.get(path)
        assert answer.status_code == 404, path
        assert "<script>alert" not in answer.text
    for path in ("/docs/..%2fpages.py", "/docs/nope", "/docs/images/..%2f..%2fpages.py", "/reference/nope"):
        assert (await browser.get(path)).status_code == 404, path
    assert (await browser.get("/dashboard/files?after=nope")).status_code == 200
    assert (await browser.get("/dashboard/usage?days=9999&by=__class__")).status_code == 200
    answer = await browser.post("/dashboard/keys", csrf=csrf, do="revoke", project="../..", key="../../x")
    assert answer.status_code == 400
    assert (await browser.post("/dashboard/keys", csrf=csrf, name="x" * 70_000)).status_code == 403
    code = await browser.client.post("/playground/code", content=b"{", headers={"x-csrf-token": csrf})
    assert code.status_code == 400


@pytest.fixture
def keys() -> Keys:
    return Keys("sk-proj-" + "p" * 40, "sk-admin-" + "a" * 40)


async def test_the_database_has_neither_token_nor_key(database: Database, keys: Keys) -> None:
    from sqlalchemy import select

    from inhouse.storage.schema import console_sessions

    sessions = Sessions(database)
    token = await sessions.open(keys)
    found = await sessions.find(token)
    assert found is not None
    assert (found.keys, found.user_id) == (keys, None)
    assert await sessions.find(token[:-1]) is None
    row = await database.read(lambda c: c.execute(select(console_sessions)).one())
    for secret in (token, keys.project, keys.admin):
        assert secret not in str(row)
    await sessions.close(token)
    assert await sessions.find(token) is None


async def test_a_session_ends_by_itself(database: Database, keys: Keys) -> None:
    token = await Sessions(database, lifetime_s=0).open(keys)
    await asyncio.sleep(0)
    assert await Sessions(database).find(token) is None


async def test_one_batch_as_the_link_to_a_run_shows_it(running: Running) -> None:
    mine, theirs = running.browser(), running.browser()
    await mine.sign_in(running.key)
    await theirs.sign_in(await running.key_of_another_project())
    csrf = await mine.token("/dashboard/batches")
    file = {"file": ("x.jsonl", b"nonsense\n")}
    ids = []
    for _ in range(2):
        uploaded = await mine.api("POST", "/files", csrf, files=file, data={"purpose": "batch"})
        wanted = {"endpoint": "/v1/chat/completions", "completion_window": "24h"}
        made = await mine.api("POST", "/batches", csrf, json={"input_file_id": uploaded.json()["id"], **wanted})
        ids.append(made.json()["id"])
    shown = await mine.get(f"/dashboard/batches?batch={ids[0]}")
    assert shown.status_code == 200
    assert ids[0] in shown.text
    assert ids[1] not in shown.text
    assert re.findall(r'data-live="([^"]+)"', shown.text) == [f"/dashboard/batches/live?batch={ids[0]}"]
    for browser, asked in ((theirs, ids[0]), (mine, "batch_none"), (mine, f"{ids[1]}/cancel"), (mine, "../files")):
        answer = await browser.get(f"/dashboard/batches?batch={asked}")
        assert answer.status_code == 404
        assert "No batch found" in answer.text
        assert not any(id in re.sub(r"No batch found[^<]*", "", answer.text) for id in ids)
