"""The console without a mouse: Tab reaches what matters, whoever looks sees where it is, Escape leads back."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio
from tests.chromium import Tab
from tests.official.running import FAST

from .seeding import Seeded

pytestmark = pytest.mark.asyncio(loop_scope="session")

MOST_STROKES = 60
# What has the focus, and whether that can be seen: on it, or on what stands for it.
FOCUSED = """(() => {
  const here = document.activeElement;
  if (!here || here === document.body) return null;
  const styles = [getComputedStyle(here), getComputedStyle(here, "::after")];
  if (here.nextElementSibling) styles.push(getComputedStyle(here.nextElementSibling));
  const outlined = styles.some((each) => each.outlineStyle !== "none" && parseFloat(each.outlineWidth) > 0);
  const box = here.getBoundingClientRect();
  return {
    name: (here.ariaLabel || here.textContent || here.id).trim(),
    path: here.getAttribute("href"),
    data: Object.keys(here.dataset),
    dialog: !!here.closest("dialog"),
    seen: (outlined || !!here.closest(".search")) && box.bottom > 0 && box.top < innerHeight,
  };
})()"""


@pytest_asyncio.fixture(loop_scope="session")
async def keyboard(tab: Tab) -> Tab:
    await tab.shape(1440, 900)
    return tab


async def stroke(tab: Tab, name: str = "Tab", *, shift: bool = False) -> Any:
    await tab.page.keyboard.press(f"Shift+{name}" if shift else name)
    return await tab.evaluate(FOCUSED)


async def reach(tab: Tab, data: str, *, shift: bool = False) -> None:
    """With Tab alone, in sight all the way."""
    for _ in range(MOST_STROKES):
        focused = await stroke(tab, shift=shift)
        assert focused is not None, f"Tab left the page before {data}"
        assert focused["seen"], focused
        if data in focused["data"]:
            return
    raise AssertionError(f"{data} cannot be reached")


async def test_tab_reaches_the_navigation(keyboard: Tab, seeded: Seeded) -> None:
    await keyboard.open(f"{seeded.root}/dashboard")
    links = await keyboard.evaluate("[...document.querySelectorAll('nav a')].map(each => each.getAttribute('href'))")
    assert {"/playground", "/docs", "/dashboard/usage"} <= set(links)
    first = await stroke(keyboard)
    assert first["name"] == "Skip to content"
    assert first["path"] == "#content"
    reached = set()
    for _ in range(MOST_STROKES):
        focused = await stroke(keyboard)
        assert focused["seen"], focused
        reached.add(focused["path"])
        if set(links) <= reached:
            break
    assert set(links) <= reached


async def test_the_skip_link_leads_past_the_navigation(keyboard: Tab, seeded: Seeded) -> None:
    await keyboard.open(f"{seeded.root}/dashboard")
    await stroke(keyboard)
    await stroke(keyboard, "Enter")
    await keyboard.until("location.hash === '#content'")
    await stroke(keyboard)
    assert await keyboard.evaluate("!!document.activeElement.closest('main')")


async def test_the_playground_is_used_without_a_mouse(keyboard: Tab, seeded: Seeded) -> None:
    await keyboard.open(f"{seeded.root}/playground?model={FAST}")
    await keyboard.until("document.activeElement.id === 'say'")
    assert (await keyboard.evaluate(FOCUSED))["seen"]
    await keyboard.page.keyboard.type("Good morning")
    await reach(keyboard, "send")
    await stroke(keyboard, "Enter")
    await keyboard.until("document.querySelector('.say-assistant') && !document.querySelector('[data-send]').disabled")

    await keyboard.evaluate("document.querySelector('[data-say]').focus()")
    await reach(keyboard, "code")
    await stroke(keyboard, "Enter")
    await keyboard.until("document.querySelector('[data-dialog]').open")
    inside: list[str] = []
    for _ in range(12):
        focused = await stroke(keyboard)
        assert focused is None or focused["dialog"], f"Tab left the dialog for {focused}"
        if focused is not None:
            assert focused["seen"], focused
            inside += focused["data"]
    assert {"close", "language", "copyCode"} <= set(inside)
    await stroke(keyboard, "Escape")
    await keyboard.until("!document.querySelector('[data-dialog]').open")
    assert "code" in (await keyboard.evaluate(FOCUSED))["data"]
