"""The console on the running server: its examples run as pasted, and the playground works in a real browser."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from tempfile import NamedTemporaryFile
from urllib.request import urlopen

import pytest
from tests.chromium import BROWSER, chromium

from inhouse.console.reference import slug_of

from .running import FAST, Server

JAVASCRIPT = Path(sys.prefix) / "ecosystem-js"
FAMILIES = ("chat", "responses", "completions", "embeddings", "moderations")
RUNNABLE = ("createChatCompletion", "createResponse", "createCompletion", "createEmbedding", "createModeration")
"""Examples that ask a model: run here with those that the product comes with. Tests of the console run all others."""


def page(server: Server, path: str) -> str:
    with urlopen(server.base_url.removesuffix("/v1") + path) as answer:
        text: str = answer.read().decode()
    return text


def run(code: str, language: str, server: Server) -> str:
    environment = {**os.environ, "OPENAI_API_KEY": server.key}
    if language == "javascript":
        # Packages are looked for beside the program.
        with NamedTemporaryFile("w", suffix=".mjs", dir=JAVASCRIPT) as program:
            program.write(code)
            program.flush()
            return _printed(["node", program.name], code, environment)
    if language == "python":
        return _printed([sys.executable, "-c", code], code, environment)
    return _printed(["bash", "-c", code.replace("curl ", "curl -sS --fail-with-body ", 1)], code, environment)


def _printed(command: list[str], code: str, environment: dict[str, str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)
    assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"
    assert done.stdout.strip()
    return done.stdout


def test_the_examples_of_the_reference_run_as_pasted(server: Server) -> None:
    texts = "".join(page(server, f"/reference/{family}") for family in FAMILIES)
    for operation in RUNNABLE:
        article = re.search(rf'<article class="operation" id="{slug_of(operation)}".*?</article>', texts, re.S)
        assert article is not None, operation
        codes = dict(re.findall(r'<code data-language="(\w+)">(.*?)</code>', article[0], re.S))
        assert set(codes) == {"python", "javascript", "curl"}
        # The SDK takes a second to import: one example through it for each way of calling.
        if operation in ("createResponse", "createChatCompletion"):
            run(html.unescape(codes["python"]), "python", server)
        assert (
            "error" not in json.loads(run(html.unescape(codes["curl"]), "curl", server))
            or operation == "createResponse"
        )


@pytest.mark.skipif(not (JAVASCRIPT / "node_modules" / "openai").is_dir(), reason="`make test` installs it with npm")
def test_the_examples_in_javascript_run_as_pasted(server: Server) -> None:
    texts = "".join(page(server, f"/reference/{family}") for family in FAMILIES)
    for operation in RUNNABLE:
        article = re.search(rf'<article class="operation" id="{slug_of(operation)}".*?</article>', texts, re.S)
        assert article is not None, operation
        code = re.search(r'<code data-language="javascript">(.*?)</code>', article[0], re.S)
        assert code is not None
        run(html.unescape(code[1]), "javascript", server)


def test_the_quickstart_runs_as_pasted(server: Server) -> None:
    blocks = re.findall(r'<code class="language-(\w+)">(.*?)</code>', page(server, "/docs/quickstart"), re.S)
    ran = 0
    for language, code in blocks:
        code = html.unescape(code)
        if language == "python" or code.startswith("curl "):
            run(code, language, server)
            ran += 1
    assert ran == 3


@pytest.mark.skipif(BROWSER is None and not os.environ.get("CI"), reason="no Chromium: apt-get install chromium")
async def test_the_playground_in_a_browser(server: Server, tmp_path: Path) -> None:
    root = server.base_url.removesuffix("/v1")
    async with chromium() as tab:
        await tab.open(f"{root}/playground?model={FAST}")
        await tab.until("location.pathname === '/sign-in'")
        await tab.fill("[name=key]", server.key)
        await tab.page.keyboard.press("Enter")
        await tab.until("location.pathname === '/playground' && document.querySelector('.pane')")
        assert await tab.evaluate("document.querySelector('[data-model]').value") == FAST
        await tab.fill("[data-set=max_output_tokens]", "16")
        await tab.click("[data-add]")
        await tab.fill("[data-say]", "<img src=x> Say hello.")
        await tab.click("[data-send]")
        await tab.until("!document.querySelector('[data-send]').disabled")
        said = await tab.evaluate(
            "[...document.querySelectorAll('.say-assistant .text')].map(each => each.textContent)"
        )
        assert len(said) == 2
        assert all(said)
        meters = await tab.evaluate("[...document.querySelectorAll('[data-meter]')].map(each => each.textContent)")
        assert all(re.match(r"\d+ in · \d+ out · \$0\.\d{6}", meter) for meter in meters)
        assert await tab.evaluate("document.querySelectorAll('.talk img').length") == 0
        await tab.click("[data-code]")
        await tab.until("document.querySelector('[data-dialog]').open")
        code = await tab.evaluate("document.querySelector('[data-shown]').textContent")
        assert run(code, "python", server)
        stored = await tab.evaluate(
            "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])"
        )
        assert server.key not in stored
        assert tab.problems == []
