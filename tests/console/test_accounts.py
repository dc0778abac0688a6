from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from argon2 import PasswordHasher
from sqlalchemy import select

from inhouse.access.accounts import Accounts
from inhouse.access.passwords import Passwords
from inhouse.access.people import People
from inhouse.console.session import COOKIE
from inhouse.kit.errors import APIError
from inhouse.storage.schema import user_passwords

from .browsing import Browser, Running, running_site

PASSWORD = "correct horse battery"


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    async with running_site(tmp_path) as site:
        # What is tested is who gets in, not how long guessing takes.
        site.platform.console.accounts._passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=64))
        yield site


async def owner(running: Running) -> Browser:
    """Signed in as the first account."""
    browser = running.browser()
    token = await running.platform.console.accounts.first_link()
    answer = await redeem(browser, token, email="ada@example.com", name="Ada")
    assert (answer.status_code, answer.headers["location"]) == (303, "/dashboard")
    return browser


async def redeem(browser: Browser, token: str, password: str = PASSWORD, **fields: str) -> httpx2.Response:
    csrf = await browser.token(f"/welcome?token={token}")
    return await browser.post("/welcome", csrf=csrf, token=token, password=password, again=password, **fields)


async def invited(running: Running, by: Browser, email: str, **body: object) -> Browser:
    """Somebody whom ``by`` invited, signed in."""
    csrf = await by.token("/account")
    made = await by.api("POST", "/organization/invites", csrf, json={"email": email, "role": "reader", **body})
    assert made.status_code == 200, made.text
    token = await running.platform.console.accounts.link_of_address(email)
    browser = running.browser()
    assert (await redeem(browser, token, name="Somebody")).status_code == 303
    return browser


async def sign_in(browser: Browser, email: str, password: str) -> httpx2.Response:
    return await browser.post("/sign-in", csrf=await browser.token("/sign-in"), email=email, password=password)


async def test_the_first_link_makes_an_owner_once(running: Running) -> None:
    accounts = running.platform.console.accounts
    stale = await accounts.first_link()
    browser = await owner(running)
    for path in ("/dashboard", "/dashboard/keys", "/playground", "/dashboard/audit", "/account"):
        assert (await browser.get(path)).status_code == 200, path
    assert "Ada" in (await browser.get("/models")).text
    late = running.browser()
    page = await late.get(f"/welcome?token={stale}")
    assert (page.status_code, "This link is not valid" in page.text) == (404, True)
    csrf = await late.token("/sign-in")
    late_try = await late.post(
        "/welcome", csrf=csrf, token=stale, email="eve@example.com", name="Eve", password=PASSWORD, again=PASSWORD
    )
    assert late_try.status_code == 400
    with pytest.raises(APIError, match="accounts already"):
        await accounts.first_link()


async def test_seeing_a_link_does_not_use_it_up(running: Running) -> None:
    token = await running.platform.console.accounts.first_link()
    browser = running.browser()
    for _ in range(3):
        assert (await browser.get(f"/welcome?token={token}")).status_code == 200
    for wrong in ("short", "aaaaaaaaaaaaaaaa", "x" * 300):
        answer = await redeem(browser, token, wrong, email="ada@example.com", name="Ada")
        assert answer.status_code == 400
        assert COOKIE not in browser.client.cookies
    assert (await redeem(browser, token, email="no address", name="Ada")).status_code == 400
    assert (await redeem(browser, token, email="ada@example.com", name="Ada")).status_code == 303
    assert (await browser.get(f"/welcome?token={token}")).headers["referrer-policy"] == "same-origin"


async def test_a_password_signs_in_and_the_session_can_be_revoked(running: Running) -> None:
    here, there = await owner(running), running.browser()
    assert (await sign_in(there, "ada@example.com", "wrong password, sorry")).status_code == 401
    assert (await sign_in(there, "nobody@example.com", PASSWORD)).status_code == 401
    answer = await sign_in(there, " ADA@example.com ", PASSWORD)
    assert answer.status_code == 303
    assert (await there.get("/dashboard/keys")).status_code == 200
    page = await here.get("/account")
    session = re.findall(r'name="session" value="([0-9a-f]{64})"', page.text)
    assert len(session) == 1
    csrf = await here.token("/account")
    assert (await here.post("/account", csrf="0" * 64, do="end", session=session[0])).status_code == 403
    assert (await there.get("/dashboard")).status_code == 200
    assert (await here.post("/account", csrf=csrf, do="end", session=session[0])).status_code == 303
    assert (await there.get("/dashboard")).status_code == 303
    assert (await here.get("/dashboard")).status_code == 200


async def test_a_new_password_ends_other_sessions(running: Running) -> None:
    here, there = await owner(running), running.browser()
    await sign_in(there, "ada@example.com", PASSWORD)
    csrf = await here.token("/account")
    new = "another good phrase"
    fields = {"csrf": csrf, "do": "password", "password": new, "again": new}
    assert (await here.post("/account", before="wrong, wrong, wrong", **fields)).status_code == 400
    assert (await there.get("/dashboard")).status_code == 200
    changed = await here.post("/account", before=PASSWORD, **fields)
    assert "Your password is changed" in changed.text
    assert (await here.get("/dashboard")).status_code == 200
    assert (await there.get("/dashboard")).status_code == 303
    assert (await sign_in(there, "ada@example.com", PASSWORD)).status_code == 401
    assert (await sign_in(there, "ada@example.com", new)).status_code == 303
    kept = await running.platform.database.read(lambda c: c.execute(select(user_passwords.c.hash)).scalar_one())
    assert kept.startswith("$argon2id$")


async def test_passwords_cannot_be_tried_for_ever(running: Running) -> None:
    await owner(running)
    browser = running.browser()
    statuses = [
        (await sign_in(browser, "ada@example.com", f"wrong {number} wrong")).status_code for number in range(11)
    ]
    assert statuses == [401] * 10 + [429]
    assert (await sign_in(browser, "ada@example.com", PASSWORD)).status_code == 429


async def test_a_reader_reads_and_a_member_works_in_the_project(running: Running) -> None:
    ada = await owner(running)
    csrf = await ada.token("/account")
    other = (await ada.api("POST", "/organization/projects", csrf, json={"name": "Other"})).json()["id"]
    mine = [each["id"] for each in (await ada.api("GET", "/organization/projects", csrf)).json()["data"]]
    default = next(id for id in mine if id != other)
    bob = await invited(running, ada, "bob@example.com", projects=[{"id": other, "role": "member"}])
    token = await bob.token("/account")
    assert (await bob.api("GET", "/organization/projects", token)).status_code == 200
    refused = await bob.api("POST", "/organization/projects", token, json={"name": "Bob's"})
    assert refused.status_code == 403
    assert "api.management.write" in refused.json()["error"]["message"]
    assert (await bob.post("/dashboard/projects", csrf=token, do="create", name="Bob's")).status_code == 400
    made = await bob.api("POST", "/files", token, files={"file": ("bob.txt", b"hello")}, data={"purpose": "user_data"})
    assert made.status_code == 200
    # In no other project, whatever is asked for.
    await bob.post("/account/project", csrf=token, project=default, next="/dashboard/files")
    assert "bob.txt" in (await bob.get("/dashboard/files")).text
    assert "bob.txt" not in (await ada.get("/dashboard/files")).text
    await ada.post("/account/project", csrf=csrf, project=other, next="/dashboard/files")
    assert "bob.txt" in (await ada.get("/dashboard/files")).text


async def test_who_is_removed_is_signed_out(running: Running) -> None:
    ada = await owner(running)
    bob = await invited(running, ada, "bob@example.com")
    assert (await bob.get("/dashboard")).status_code == 200
    csrf = await ada.token("/account")
    found = (await ada.api("GET", "/organization/users?emails[]=bob@example.com", csrf)).json()["data"][0]["id"]
    assert (await ada.api("DELETE", f"/organization/users/{found}", csrf)).status_code == 200
    assert (await bob.get("/dashboard")).status_code == 303
    assert (await sign_in(running.browser(), "bob@example.com", PASSWORD)).status_code == 401


async def test_what_people_do_is_in_the_audit_log_in_their_name(running: Running) -> None:
    ada = await owner(running)
    csrf = await ada.token("/account")
    await ada.api("POST", "/organization/projects", csrf, json={"name": "Website"})
    log = (await ada.api("GET", "/organization/audit_logs", csrf)).json()["data"]
    actors = {each["type"]: each["actor"] for each in log}
    for event in ("project.created", "login.succeeded", "user.added"):
        assert actors[event]["type"] == "session"
        assert actors[event]["session"]["user"]["email"] == "ada@example.com"


async def test_a_reader_cannot_hand_out_what_they_do_not_have(running: Running) -> None:
    ada = await owner(running)
    bob = await invited(running, ada, "bob@example.com")
    token = await bob.token("/account")
    for path, body in (
        ("/organization/invites", {"email": "eve@example.com", "role": "owner"}),
        ("/organization/admin_api_keys", {"name": "mine"}),
    ):
        assert (await bob.api("POST", path, token, json=body)).status_code == 403


async def test_a_link_of_the_command_line_is_for_who_is_known(running: Running) -> None:
    ada = await owner(running)
    accounts = running.platform.console.accounts
    with pytest.raises(APIError, match="user or invited"):
        await accounts.link_of_address("eve@example.com")
    token = await accounts.link_of_address("ada@example.com")
    browser = running.browser()
    assert (await redeem(browser, token, "a third good phrase", email="eve@example.com")).status_code == 303
    assert "ada@example.com" in (await browser.get("/account")).text
    assert (await ada.get("/dashboard")).status_code == 303


async def test_a_new_password_ends_the_links_that_could_choose_another(running: Running) -> None:
    here, accounts = await owner(running), running.platform.console.accounts
    forgotten = [await accounts.link_of_address("ada@example.com") for _ in range(3)]
    assert await accounts.see(forgotten[2]) is not None
    assert (await redeem(running.browser(), forgotten[0], "a third good phrase")).status_code == 303
    assert [await accounts.see(token) for token in forgotten] == [None] * 3
    left = await accounts.link_of_address("ada@example.com")
    await sign_in(here, "ada@example.com", "a third good phrase")
    fields = {"do": "password", "password": "a fourth good phrase", "again": "a fourth good phrase"}
    csrf = await here.token("/account")
    await here.post("/account", csrf=csrf, before="a third good phrase", **fields)
    assert await accounts.see(left) is None


async def test_secure_where_the_browser_speaks_https(running: Running) -> None:
    browser = running.browser()
    answer = await browser.client.get("/sign-in", headers={"x-forwarded-proto": "https"})
    assert "Secure" in answer.headers["set-cookie"]
    assert "Secure" not in (await browser.get("/sign-in")).headers["set-cookie"]


async def test_the_person_of_nobody_is_none(running: Running) -> None:
    assert await People(running.platform.database).find("user-none", None) is None
    assert await Accounts(running.platform.database).check("nobody@example.com", PASSWORD) is None


async def test_passwords_are_slow_to_guess_and_brought_up_to_date(running: Running) -> None:
    strong = Passwords()
    hash = await strong.hash(PASSWORD)
    assert hash.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert await strong.verify(hash, PASSWORD)
    assert not await strong.verify(hash, PASSWORD + "x")
    assert not await strong.verify(None, "nobody's")
    assert not await strong.verify("nonsense", PASSWORD)
    await owner(running)
    accounts = running.platform.console.accounts
    accounts._passwords = strong
    assert await accounts.check("ada@example.com", PASSWORD) is not None
    kept = await running.platform.database.read(lambda c: c.execute(select(user_passwords.c.hash)).scalar_one())
    assert "m=65536,t=3,p=4" in kept


async def test_an_owner_cannot_take_it_from_themselves(running: Running) -> None:
    ada = await owner(running)
    csrf = await ada.token("/account")
    mine = (await ada.api("GET", "/organization/users", csrf)).json()["data"][0]["id"]
    for change in ({"do": "role", "role": "reader"}, {"do": "role", "role": ""}, {"do": "remove"}):
        answer = await ada.post("/dashboard/members", csrf=csrf, user=mine, **change)
        assert (answer.status_code, "another owner can" in answer.text) == (400, True), change
    assert "owner of the organization" in (await ada.get("/account")).text
    bob = await invited(running, ada, "bob@example.com")
    # Who signed in with an account is told what helps: not a key.
    page = await bob.get("/dashboard/files")
    assert (page.status_code, "You are in no project yet" in page.text, "Add a project" in page.text) == (
        403,
        True,
        False,
    )
    users = (await ada.api("GET", "/organization/users", csrf)).json()["data"]
    his = next(each["id"] for each in users if each["email"] == "bob@example.com")
    changed = await ada.post("/dashboard/members", csrf=csrf, user=his, do="role", role="owner")
    assert changed.status_code == 303
    token = await bob.token("/account")
    assert (await bob.post("/dashboard/members", csrf=token, user=mine, do="role", role="reader")).status_code == 303
