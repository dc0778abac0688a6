"""What a person does not lose: a conversation over a reload and a new sign-in, an answer that failed, a stored one."""

from __future__ import annotations

import json

import pytest
from tests.chromium import Page
from tests.official.running import CHAT, FAST

from .seeding import ADA, PASSWORD, Seeded

pytestmark = pytest.mark.asyncio(loop_scope="session")

TALK = "document.querySelector('[data-talk]').innerText"
IDLE = "!document.querySelector('[data-send]').disabled"


async def say(tab: Page, text: str) -> None:
    await tab.fill("[data-say]", text)
    await tab.evaluate("document.querySelector('[data-send]').click()")
    await tab.until(f"document.querySelector('[data-talk]').innerText.includes({json.dumps(text)}) && {IDLE}")


async def reload(tab: Page) -> None:
    await tab.evaluate("window.before = true")
    await tab.ask("Page.reload")
    await tab.until("!window.before && document.readyState === 'complete'")


async def sign_in(tab: Page, to: str) -> None:
    await tab.until("location.pathname === '/sign-in' && document.querySelector('[name=password]')")
    await tab.fill("[name=email]", ADA)
    await tab.fill("[name=password]", PASSWORD)
    await tab.evaluate("document.querySelector('[name=password]').form.requestSubmit()")
    await tab.until(f"location.pathname === {json.dumps(to)} && document.readyState === 'complete'")


async def test_a_conversation_outlives_a_reload(tab: Page, seeded: Seeded) -> None:
    await tab.open(f"{seeded.root}/playground?model={FAST}")
    await tab.evaluate("document.querySelector('[data-example]').click()")
    await tab.fill("[data-set=instructions]", "Be kind.")
    await say(tab, "What is the weather in Paris?")
    await tab.until("document.querySelector('.say-tool form')")
    await reload(tab)
    await tab.until("document.querySelector('.say-tool form')")
    assert await tab.evaluate("document.querySelector('[data-set=instructions]').value") == "Be kind."
    assert await tab.evaluate("document.querySelector('[data-model]').value") == FAST
    # It goes on where it was: the call that was asked for is answered.
    await tab.fill(".say-tool input", "18 degrees")
    await tab.evaluate("document.querySelector('.say-tool form').requestSubmit()")
    await tab.until(f"document.querySelector('.say-assistant') && {IDLE}")
    assert "tool said '18 degrees' in message 4" in await tab.evaluate(TALK)
    # An address that names a model begins anew.
    await tab.open(f"{seeded.root}/models")
    await tab.open(f"{seeded.root}/playground?model={CHAT}")
    await tab.until("document.querySelector('[data-model]')")
    assert await tab.evaluate(TALK) == ""


async def test_a_stored_answer_is_gone_on_from(tab: Page, seeded: Seeded) -> None:
    for id in (seeded.response, seeded.completion):
        await tab.open(f"{seeded.root}/dashboard/logs/{id}")
        path = await tab.evaluate("document.querySelector('.actions a').getAttribute('href')")
        await tab.open(seeded.root + path)
        await tab.until("document.querySelector('.say-assistant')")
        assert await tab.evaluate("document.querySelector('[data-model]').value") == FAST
        before = await tab.evaluate(TALK)
        assert "And the grass green?" in before
        await say(tab, "Is that so?")
        await tab.until(f"document.querySelectorAll('.say-assistant').length === 2 && {IDLE}")
        assert "user said 'Is that so?'" in (await tab.evaluate(TALK)).replace(before, "")


async def test_the_end_of_a_session_loses_nothing(tab: Page, seeded: Seeded) -> None:
    await tab.open(f"{seeded.root}/playground?model={FAST}")
    await say(tab, "Good morning")
    await tab.until("document.querySelector('.say-assistant')")
    await tab.ask("Network.clearBrowserCookies")
    await say(tab, "Are you there?")
    await tab.until("document.querySelector('.say-error a')")
    assert "Your session has ended." in await tab.evaluate(TALK)
    await tab.evaluate("document.querySelector('.say-error a').click()")
    await sign_in(tab, "/playground")
    await tab.until("document.querySelector('.say-error button')")
    assert "Good morning" in await tab.evaluate(TALK)
    await tab.evaluate("document.querySelector('.say-error button').click()")
    await tab.until("document.querySelectorAll('.say-assistant').length === 2")
    assert "user said 'Are you there?' in message 3" in await tab.evaluate(TALK)
    assert not await tab.evaluate("document.querySelector('.say-error')")


async def test_a_page_says_that_it_is_no_longer_live(tab: Page, seeded: Seeded) -> None:
    await tab.open(f"{seeded.root}/dashboard/engines")
    assert await tab.evaluate("document.querySelector('.lost').textContent") == ""
    await tab.ask("Network.clearBrowserCookies")
    await tab.until("document.querySelector('.lost').textContent.startsWith('Not updated')")
    await tab.open(f"{seeded.root}/dashboard")
    await sign_in(tab, "/dashboard")


async def test_code_is_copied_also_where_there_is_no_clipboard(tab: Page, seeded: Seeded) -> None:
    """As over plain HTTP from another machine; in a dialog, what lies behind it cannot be selected."""
    await tab.ask("Emulation.setFocusEmulationEnabled", enabled=True)
    await tab.open(f"{seeded.root}/playground?model={FAST}")
    await tab.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    await tab.evaluate(
        "document.addEventListener('copy', () => (window.copied = document.activeElement.value ?? ''), true)"
    )
    await tab.evaluate("document.querySelector('[data-code]').click()")
    await tab.until("document.querySelector('[data-dialog]').open")
    pressed = "document.querySelector('[data-copy-code]').click()"
    await tab.ask("Runtime.evaluate", expression=pressed, userGesture=True)
    await tab.until("/^(Not c|C)opied$/.test(document.querySelector('[data-copy-code]').textContent)")
    shown = await tab.evaluate("document.querySelector('[data-shown]').textContent")
    assert await tab.evaluate("window.copied") == shown


async def test_a_model_page_on_paper_is_ink_on_white_and_whole(tab: Page, seeded: Seeded) -> None:
    """Also of a reader whose theme is dark; what a switch hides is there, for paper has no switches."""
    await tab.open(f"{seeded.root}/models/{CHAT}")
    await tab.evaluate("document.documentElement.dataset.theme = 'dark'")
    color = "getComputedStyle(document.querySelector('h1')).color"
    assert await tab.evaluate(color) == "rgb(238, 240, 242)"
    parts = "[...document.querySelectorAll('#limits .scroll, .when-batch, .when-standard')]"
    seen = f"{parts}.map(each => each.offsetHeight > 0)"
    assert set(await tab.evaluate(seen)) == {True, False}
    try:
        await tab.ask("Emulation.setEmulatedMedia", media="print")
        assert await tab.evaluate(color) == "rgb(23, 25, 28)"
        assert set(await tab.evaluate(seen)) == {True}
        assert await tab.evaluate("document.querySelector('.bar').offsetHeight") == 0
    finally:
        await tab.ask("Emulation.setEmulatedMedia", media="")
