"""The console as somebody uses it, in a real browser."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from tempfile import NamedTemporaryFile

import pytest
from PIL import Image
from playwright.async_api import expect
from tests.chromium import Tab
from tests.mcp_servers import MCPServer
from tests.official.running import FAST

from .seeding import ADA, HANDBOOK, Seeded

pytestmark = pytest.mark.asyncio(loop_scope="session")

BLIND = "gpt-4.1-mini"
"""Served by weights of this machine."""
JAVASCRIPT = Path(sys.prefix) / "ecosystem-js"


@pytest.fixture
def numbers() -> Iterator[MCPServer]:
    server = MCPServer("streamable")
    yield server
    server.stop()


async def loaded(tab: Tab, condition: str) -> None:
    await tab.until(f"document.readyState === 'complete' && ({condition})")


async def shown(tab: Tab, selector: str = "main") -> str:
    return await tab.page.locator(selector).first.inner_text()


async def test_an_invite_becomes_an_account(tab: Tab, seeded: Seeded) -> None:
    await tab.open(f"{seeded.root}/dashboard/members")
    await tab.fill("[name=email]", "alan@example.com")
    await tab.press("Invite")
    await loaded(tab, "document.querySelector('.secret code')")
    link = await shown(tab, ".secret code")
    assert link.startswith(f"{seeded.root}/welcome?token=")
    with seeded.client() as alan:
        csrf = re.search(r'name="csrf" value="([0-9a-f]{64})"', alan.get(link).text)
        assert csrf is not None
        fields = {"csrf": csrf[1], "token": link.partition("token=")[2], "name": "Alan", "email": "ignored@example.com"}
        password = "enigma machine room"
        assert alan.post("/welcome", data={**fields, "password": password, "again": password}).status_code == 303
        assert "alan@example.com; reader of the organization" in alan.get("/account").text
    await tab.open(f"{seeded.root}/dashboard/members")
    assert "alan@example.com" in await shown(tab)
    await tab.open(f"{seeded.root}/dashboard/audit")
    assert "invite.accepted" in await shown(tab)
    assert "ada@example.com" in await shown(tab)


async def test_a_budget_is_set_and_lifted(tab: Tab, seeded: Seeded) -> None:
    group = '[aria-label="Budget of Website"]'
    await tab.open(f"{seeded.root}/dashboard/budgets")
    await tab.fill(f"{group} [name=dollars]", "12.345")
    await tab.press("Set the limit", group)
    await loaded(tab, "document.querySelector('.problem')")
    assert "whole cents" in await shown(tab, ".problem")
    await tab.fill(f"{group} [name=dollars]", "$12.50")
    await tab.press("Set the limit", group)
    await expect(tab.page.locator(group).first).to_contain_text("$12.50 this month")
    await tab.press("Lift the limit", group)
    await expect(tab.page.locator(group).first).to_contain_text("No limit")


async def test_credits_are_granted_and_ended(tab: Tab, seeded: Seeded) -> None:
    await tab.open(f"{seeded.root}/dashboard/budgets")
    fold = ".panel-fold"
    await tab.fill(f"{fold} [name=dollars]", "25.50")
    await tab.fill(f"{fold} [name=note]", "To begin with")
    await tab.press("Grant", fold)
    await loaded(tab, "document.querySelector('.tiles').innerText.includes('$25.')")
    await tab.fill(f"{fold} [name=dollars]", "-5")
    await tab.press("Grant", fold)
    await loaded(tab, "document.querySelector('.tiles').innerText.includes('$20.')")
    await tab.press("End;", fold)
    await loaded(tab, "document.querySelector('.tiles').innerText.includes('Not asked for')")
    entries = seeded.administer("GET", "/organization/audit_logs?event_types[]=tenant.billing.info.updated")["data"]
    assert len(entries) == 3
    granted = seeded.server.rows("SELECT amount_nanos, actor, note FROM credit_grants ORDER BY created_at")
    assert granted == [(25_500_000_000, ADA, "To begin with"), (-5_000_000_000, ADA, "")]
    assert {each["actor"]["session"]["user"]["email"] for each in entries} == {ADA}


async def test_a_batch_is_followed_as_it_goes(tab: Tab, seeded: Seeded) -> None:
    await tab.open(f"{seeded.root}/dashboard/batches")
    before = await tab.evaluate("document.querySelectorAll('main tbody tr').length")
    await tab.evaluate("window.same = true")
    body = {"model": FAST, "messages": [{"role": "user", "content": "hi"}]}
    line = json.dumps({"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": body})
    file = seeded.ask("POST", "/files", files={"file": ("one.jsonl", line)}, data={"purpose": "batch"})["id"]
    batch = {"input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    id = seeded.ask("POST", "/batches", batch)["id"]
    row = f"[...document.querySelectorAll('main tbody tr')].find(each => each.innerText.includes('{id}'))"
    await tab.until(f"{row}?.innerText.includes('Completed')")
    assert await tab.evaluate("document.querySelectorAll('main tbody tr').length") == before + 1
    assert await tab.evaluate("window.same"), "the page was loaded again"


async def test_a_file_is_uploaded_and_deleted(tab: Tab, seeded: Seeded, tmp_path: Path) -> None:
    await tab.open(f"{seeded.root}/dashboard/files")
    await choose(tab, "[data-upload] [type=file]", tmp_path / "uploaded-here.md", b"# Notes")
    await tab.press("Upload", "[data-upload]")
    row = "main tbody tr:has-text('uploaded-here.md')"
    await tab.press("Delete for good", row)
    await expect(tab.page.locator(row)).to_have_count(0)


async def test_an_operation_is_tried(tab: Tab, seeded: Seeded) -> None:
    await tab.open(f"{seeded.root}/reference/chat")
    part = '[data-path="/chat/completions"][data-method=POST]'
    await tab.press("Send", part)
    await expect(tab.page.locator(f"{part} [data-status]")).to_have_text(re.compile(r"^200 "))
    answer = json.loads(await shown(tab, f"{part} [data-answer]"))
    assert answer["choices"][0]["message"]["content"]
    curl = await tab.page.locator(f"{part} [data-curl]").text_content() or ""
    assert json.loads(run(["bash", "-c", curl.replace("curl ", "curl -sS ", 1)], seeded))["object"] == "chat.completion"
    path = '[data-path="/chat/completions/{completion_id}"][data-method=GET]'
    await tab.fill(f"{path} [data-path-value]", "chatcmpl-nope")
    await tab.press("Send", path)
    await expect(tab.page.locator(f"{path} [data-status]")).to_have_text(re.compile(r"^404"))


async def test_the_playground_sends_files_and_searches_in_stores(tab: Tab, seeded: Seeded, tmp_path: Path) -> None:
    await tab.open(f"{seeded.root}/playground?model={FAST}")
    await tab.until("document.querySelectorAll('[data-set=store-id] option').length > 1")
    await tab.fill("[data-set=store-id]", seeded.store)
    await choose(tab, "[data-file]", tmp_path / "memo.md", HANDBOOK)
    await tab.until("document.querySelector('[data-attached] button')")
    await tab.fill("[data-say]", "When is the coffee machine cleaned?")
    await tab.press("Show code", "[data-play]")
    await tab.until("document.querySelector('[data-dialog]').open")
    code = {}
    for language in ("python", "javascript", "curl"):
        await tab.click(f"[data-language={language}]")
        code[language] = await shown(tab, "[data-shown]")
        assert "file_search" in code[language]
        assert seeded.store in code[language]
    await tab.page.keyboard.press("Escape")
    assert run([sys.executable, "-c", code["python"]], seeded)
    assert "response.completed" in run(["bash", "-c", code["curl"]], seeded)
    if (JAVASCRIPT / "node_modules" / "openai").is_dir():
        with NamedTemporaryFile("w", suffix=".mjs", dir=JAVASCRIPT) as program:
            program.write(code["javascript"])
            program.flush()
            assert run(["node", program.name], seeded)
    await tab.press("Send", "[data-composer]")
    await tab.until("!document.querySelector('[data-send]').disabled")
    talk = await shown(tab, "[data-talk]")
    assert "[memo.md]" in talk
    # What the model was given to read, as the model that follows rules repeats it.
    assert "coffee machine on the second floor" in talk
    assert await tab.evaluate("document.querySelectorAll('[data-attached] li').length") == 0


async def test_what_an_mcp_server_may_run_is_asked_in_the_playground(
    tab: Tab, seeded: Seeded, numbers: MCPServer
) -> None:
    await tab.open(f"{seeded.root}/playground?model={FAST}")
    await tab.fill("[data-set=mcp-url]", numbers.url)
    await tab.fill("[data-set=mcp-label]", "numbers")
    for choice, after, calls in (("Refuse", "→ refused", []), ("Allow", "→ allowed", ["add"])):
        await tab.press("Clear", "[data-composer]")
        await tab.fill("[data-say]", "What is 20 and 22?")
        await tab.press("Send", "[data-composer]")
        await tab.until("document.querySelector('.say-tool button')")
        asked = await shown(tab, ".say-tool")
        assert asked.startswith("May numbers run this?")
        assert json.loads(re.search(r"add\((.*)\)", asked)[1]) == {"a": 20, "b": 22}  # type: ignore[index]
        assert numbers.seen()["calls"] == []
        await tab.press(choice, ".say-tool")
        await tab.until("document.querySelector('.say-assistant') && !document.querySelector('[data-send]').disabled")
        talk = await shown(tab, "[data-talk]")
        assert after in talk
        assert ("numbers ran add" in talk) is bool(calls)
        assert numbers.seen()["calls"] == calls
        assert not await tab.evaluate("document.querySelector('.say-error')")


async def test_functions_are_answered_by_hand_in_the_playground(tab: Tab, seeded: Seeded) -> None:
    await tab.open(f"{seeded.root}/playground?model={FAST}")
    await tab.press("Put in an example", "[data-play]")
    await say(tab, "What is the weather in Paris?")
    await tab.until("document.querySelector('.say-tool form input') === document.activeElement")
    assert await shown(tab, ".say-tool .call") == 'get_weather({"city": "Paris"})'
    assert not await tab.evaluate("document.querySelector('.say-assistant')")
    await tab.fill(".say-tool input", "18 degrees and rain")
    await tab.press("Give back", ".say-tool")
    await tab.until("document.querySelector('.say-assistant') && !document.querySelector('[data-send]').disabled")
    talk = await shown(tab, "[data-talk]")
    assert "→ 18 degrees and rain" in talk
    assert "tool said '18 degrees and rain' in message 3" in talk


async def test_more_parameters_go_with_the_request(tab: Tab, seeded: Seeded) -> None:
    await tab.open(f"{seeded.root}/playground?model={FAST}")
    await tab.press("Put in an example", "[data-play]")
    for more, problem in (
        ("{tool_choice}", "The text under More parameters is not JSON: "),
        ('["none"]', "More parameters are not a JSON object."),
    ):
        await tab.fill("[data-set=more]", more)
        await say(tab, "What is the weather in Paris?")
        assert (await shown(tab, "[data-problem]")).startswith(problem)
        assert not await tab.evaluate("document.querySelector('[data-talk]').children.length")
    await tab.fill("[data-set=more]", '{"tool_choice": "maybe"}')
    await say(tab, "What is the weather in Paris?")
    await tab.until("document.querySelector('.say-error')")
    assert "Invalid value: 'maybe'" in await shown(tab, ".say-error")
    await tab.until("!document.querySelector('[data-send]').disabled")
    await tab.press("Clear", "[data-composer]")
    # A model that follows rules would call the function: that it does not is what the parameter says.
    await tab.fill("[data-set=more]", '{"tool_choice": "none", "stream": false}')
    await say(tab, "What is the weather in Paris?")
    await tab.until("document.querySelector('.say-assistant') && !document.querySelector('[data-send]').disabled")
    assert "user said 'What is the weather in Paris?'" in await shown(tab, ".say-assistant")
    assert not await tab.evaluate("document.querySelector('.say-tool, .say-error')")


async def test_an_image_is_sent_or_refused_with_a_reason(tab: Tab, seeded: Seeded, tmp_path: Path) -> None:
    """An upstream gets it; weights of this machine read text only, and say so."""
    picture = BytesIO()
    Image.new("RGB", (8, 8), "red").save(picture, "PNG")
    for model, shows in ((FAST, ".say-assistant"), (BLIND, ".say-error")):
        await tab.open(f"{seeded.root}/playground?model={model}")
        await choose(tab, "[data-file]", tmp_path / "dot.png", picture.getvalue())
        await tab.until("document.querySelector('[data-attached] button')")
        await say(tab, "What is it?")
        await tab.until(f"document.querySelector('{shows}') && !document.querySelector('[data-send]').disabled")
        assert "[dot.png]" in await shown(tab, ".say-user")
        told = await shown(tab, shows)
        assert ("user said 'What is it?'" if model == FAST else "only supported by certain models") in told, told


async def say(tab: Tab, text: str) -> None:
    await tab.fill("[data-say]", text)
    await tab.press("Send", "[data-composer]")


async def choose(tab: Tab, selector: str, file: Path, content: bytes) -> None:
    """As a person who picks a file in the browser's dialog."""
    file.write_bytes(content)
    await tab.page.set_input_files(selector, file)


def run(command: list[str], seeded: Seeded) -> str:
    environment = {**os.environ, "OPENAI_API_KEY": seeded.server.key}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)
    assert done.returncode == 0, f"{command[-1]}\n{done.stdout}\n{done.stderr}"
    assert done.stdout.strip()
    return done.stdout
