"""What a person does not lose: a conversation over a reload and a new sign-in, an answer that failed, a stored one."""

from __future__ import annotations

import pytest
from tests.chromium import Tab
from tests.official.running import CHAT, FAST

from .seeding import ADA, PASSWORD, Seeded
from .seeding import sign_in as sign_in_to

pytestmark = pytest.mark.asyncio(loop_scope="session")

IDLE = "!document.querySelector('[data-send]').disabled"


async def talk(tab: Tab) -> str:
    return await tab.page.locator("[data-talk]").inner_text()


async def say(tab: Tab, text: str) -> None:
    await tab.fill("[data-say]", text)
    await tab.click("[data-send]")
    await tab.until(f"document.querySelector('[data-say]').value === '' && {IDLE}")


async def answers(tab: Tab, count: int) -> None:
    await tab.until(f"document.querySelectorAll('.say-assistant').length === {count} && {IDLE}")


async def test_a_conversation_outlives_a_reload(tab: Tab, seeded: Seeded) -> None:
    await tab.open(f"{seeded.root}/playground?model={FAST}")
    await tab.click("[data-example]")
    await tab.fill("[data-set=instructions]", "Be kind.")
    await say(tab, "What is the weather in Paris?")
    await tab.page.wait_for_selector(".say-tool form")
    await tab.page.reload()
    await tab.page.wait_for_selector(".say-tool form")
    assert await tab.page.input_value("[data-set=instructions]") == "Be kind."
    assert await tab.page.input_value("[data-model]") == FAST
    # It goes on where it was: the call that was asked for is answered.
    await tab.fill(".say-tool input", "18 degrees")
    await tab.click(".say-tool form button")
    await answers(tab, 1)
    assert "tool said '18 degrees' in message" in await talk(tab)
    # An address that names a model begins anew.
    await tab.open(f"{seeded.root}/models")
    await tab.open(f"{seeded.root}/playground?model={CHAT}")
    await tab.page.wait_for_selector("[data-model]")
    assert await talk(tab) == ""


async def test_a_stored_answer_is_gone_on_from(tab: Tab, seeded: Seeded) -> None:
    for id in (seeded.response, seeded.completion):
        await tab.open(f"{seeded.root}/dashboard/logs/{id}")
        await tab.click("text=Open in the playground")
        await answers(tab, 1)
        assert await tab.page.input_value("[data-model]") == FAST
        before = await talk(tab)
        assert "And the grass green?" in before
        await say(tab, "Is that so?")
        await answers(tab, 2)
        assert "user said 'Is that so?'" in (await talk(tab)).removeprefix(before)


async def test_the_end_of_a_session_loses_nothing(tab: Tab, seeded: Seeded) -> None:
    await tab.open(f"{seeded.root}/playground?model={FAST}")
    await say(tab, "Good morning")
    await answers(tab, 1)
    await tab.page.context.clear_cookies()
    await say(tab, "Are you there?")
    await tab.page.wait_for_selector(".say-error")
    assert "Your session has ended." in await talk(tab)
    await tab.click("text=Sign in again")
    await tab.fill("[name=email]", ADA)
    await tab.fill("[name=password]", PASSWORD)
    await tab.page.keyboard.press("Enter")
    await tab.until("location.pathname === '/playground' && document.querySelector('.say-error')")
    assert "Good morning" in await talk(tab)
    await tab.click("text=Try again")
    await answers(tab, 2)
    assert "user said 'Are you there?' in message 3" in await talk(tab)
    assert await tab.page.locator(".say-error").count() == 0


async def test_a_page_says_that_it_is_no_longer_live(tab: Tab, seeded: Seeded) -> None:
    await tab.open(f"{seeded.root}/dashboard/engines")
    assert await tab.page.locator(".lost").text_content() == ""
    await tab.page.context.clear_cookies()
    await tab.until("document.querySelector('.lost').textContent.startsWith('Not updated')")
    await sign_in_to(tab, seeded.root)


async def test_code_is_copied_also_where_there_is_no_clipboard(tab: Tab, seeded: Seeded) -> None:
    """As over plain HTTP from another machine; in a dialog, what lies behind it cannot be selected."""
    await tab.open(f"{seeded.root}/playground?model={FAST}")
    await tab.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    await tab.evaluate(
        "document.addEventListener('copy', () => (window.copied = document.activeElement.value ?? ''), true)"
    )
    await tab.click("[data-code]")
    await tab.click("[data-copy-code]")
    await tab.until("/^(Not c|C)opied$/.test(document.querySelector('[data-copy-code]').textContent)")
    assert await tab.evaluate("window.copied") == await tab.page.locator("[data-shown]").text_content()


async def test_a_model_page_on_paper_is_ink_on_white_and_whole(tab: Tab, seeded: Seeded) -> None:
    """Also of a reader whose theme is dark; what a switch hides is there, for paper has no switches."""
    await tab.open(f"{seeded.root}/models/{CHAT}")
    await tab.evaluate("document.documentElement.dataset.theme = 'dark'")
    color = "getComputedStyle(document.querySelector('h1')).color"
    assert await tab.evaluate(color) == "rgb(238, 240, 242)"
    parts = "[...document.querySelectorAll('#limits .scroll, .when-batch, .when-standard')]"
    seen = f"{parts}.map(each => each.offsetHeight > 0)"
    assert set(await tab.evaluate(seen)) == {True, False}
    await tab.page.emulate_media(media="print")
    try:
        assert await tab.evaluate(color) == "rgb(23, 25, 28)"
        assert set(await tab.evaluate(seen)) == {True}
        assert await tab.evaluate("document.querySelector('.bar').offsetHeight") == 0
    finally:
        await tab.page.emulate_media(media="screen")
