from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest

from inhouse.console.session import COOKIE
from inhouse.settings import ConsoleSettings, Secret, SettingsError

from .browsing import Browser, Running, running_site
from .providing import CLIENT, SECRET, Provider, providing


@pytest.fixture
def provider() -> Iterator[Provider]:
    with providing() as one:
        yield one


@pytest.fixture
async def running(tmp_path: Path, provider: Provider) -> AsyncIterator[Running]:
    settings = ConsoleSettings(
        oidc_issuer=provider.issuer,
        oidc_client_id=CLIENT,
        oidc_client_secret=Secret(SECRET),
        oidc_name="Example SSO",
        oidc_domains=["example.com"],
        oidc_role="reader",
    )
    async with running_site(tmp_path, settings) as site:
        yield site


async def through(browser: Browser, provider: Provider, to: str = "/dashboard/limits") -> httpx2.Response:
    begun = await browser.get(f"/sign-in/provider?next={to}")
    assert begun.status_code == 303, begun.text
    return await browser.get(provider.authorize(begun.headers["location"]).removeprefix("http://console.test"))


async def test_a_provider_signs_in(running: Running, provider: Provider) -> None:
    browser = running.browser()
    assert "Continue with Example SSO" in (await browser.get("/sign-in")).text
    answer = await through(browser, provider)
    assert answer.status_code == 200
    # The strict cookie is only sent where this site itself leads on, so it is a page and not a redirect.
    assert '<meta http-equiv="refresh" content="0;url=/dashboard/limits">' in answer.text
    assert (await browser.get("/dashboard/limits")).status_code == 200
    page = (await browser.get("/account")).text
    assert "ada@example.com; reader of the organization" in page
    # The same person again, by another name and address: the identity counts.
    provider.person |= {"email": "ada@elsewhere.org", "name": "Someone"}
    again = running.browser()
    assert (await through(again, provider)).status_code == 200
    assert "ada@example.com" in (await again.get("/account")).text


async def test_only_who_is_expected_gets_in(running: Running, provider: Provider) -> None:
    browser = running.browser()
    provider.person |= {"email": "eve@elsewhere.org"}
    refused = await through(browser, provider)
    assert refused.status_code == 403
    assert "eve@elsewhere.org is no user here" in refused.text
    provider.person |= {"email": "ada@example.com", "email_verified": False}
    assert "has not verified the address" in (await through(browser, provider)).text
    provider.person |= {"email": None}
    assert "tells no address" in (await through(browser, provider)).text
    assert COOKIE not in browser.client.cookies


async def test_an_invite_is_accepted_by_signing_in(running: Running, provider: Provider) -> None:
    admin = running.browser()
    await admin.sign_in(running.admin)
    csrf = await admin.token("/dashboard")
    body = {"email": "zoe@partner.org", "role": "owner"}
    assert (await admin.api("POST", "/organization/invites", csrf, json=body)).status_code == 200
    provider.person |= {"sub": "zoe", "email": "Zoe@partner.org", "name": "Zoe"}
    browser = running.browser()
    assert (await through(browser, provider)).status_code == 200
    assert "zoe@partner.org; owner of the organization" in (await browser.get("/account")).text


async def test_a_token_is_believed_only_as_the_standard_says(running: Running, provider: Provider) -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa

    browser = running.browser()
    for lies in (
        {"aud": "another"},
        {"iss": "https://evil.test"},
        {"exp": 1_000_000_000},
        {"nonce": "another"},
        {"nonce": None},
        {"sub": None},
        {"aud": [CLIENT, "another"]},
        {"aud": [CLIENT, "another"], "azp": "another"},
    ):
        provider.lies = lies
        answer = await through(browser, provider)
        assert answer.status_code == 403, lies
        assert COOKIE not in browser.client.cookies
    provider.lies = {}
    provider.signing_key = rsa.generate_private_key(65537, 2048)
    assert (await through(browser, provider)).status_code == 403
    # The public key as a shared secret, and no signature at all.
    provider.signing_key, provider.algorithm = "x" * 64, "HS256"
    assert (await through(browser, provider)).status_code == 403
    provider.signing_key, provider.algorithm = None, "none"
    assert (await through(browser, provider)).status_code == 403
    provider.rotate()
    provider.algorithm = "RS256"
    assert (await through(browser, provider)).status_code == 200


async def test_a_way_back_that_was_not_begun_here_leads_nowhere(running: Running, provider: Provider) -> None:
    victim, attacker = running.browser(), running.browser()
    begun = await attacker.get("/sign-in/provider")
    back = provider.authorize(begun.headers["location"]).removeprefix("http://console.test")
    for _ in range(2):
        assert (await victim.get(back)).status_code == 403
    await victim.get("/sign-in/provider")
    assert (await victim.get(back)).status_code == 403
    assert (await attacker.get(back)).status_code == 200
    # A code is used once, and the cookie of the flow is gone.
    assert (await attacker.get(back)).status_code == 403
    victim.client.cookies.set("inhouse_provider", "nonsense")
    assert (await victim.get("/sign-in/provider/callback?state=&error=access_denied")).status_code == 403
    outside = await victim.get("/sign-in/provider?next=https://evil.test/")
    back = provider.authorize(outside.headers["location"]).removeprefix("http://console.test")
    assert "evil.test" not in (await running.browser().get(back)).text


async def test_a_provider_that_fails_is_said_to(running: Running, provider: Provider) -> None:
    provider.status = 500
    answer = await running.browser().get("/sign-in/provider")
    assert (answer.status_code, "Example SSO answered 500" in answer.text) == (403, True)


def test_a_provider_is_only_believed_over_https() -> None:
    assert ConsoleSettings().provider == ""
    with pytest.raises(SettingsError, match="https"):
        _ = ConsoleSettings(oidc_issuer="http://login.example.com", oidc_client_id="x").provider
    with pytest.raises(SettingsError, match="client_id"):
        _ = ConsoleSettings(oidc_issuer="https://login.example.com").provider
