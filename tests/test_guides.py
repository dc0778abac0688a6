"""The guides for who runs a server name only what there is: messages, settings, commands, metrics."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from inhouse.cli import commands
from inhouse.console.docs_pages import render
from inhouse.metering.metrics import Metrics
from inhouse.settings import FIELDS, load
from inhouse.settings.reading import CONFIG_VARIABLE, VARIABLES

ROOT = Path(__file__).parents[1]
PAGES = ("deployment", "troubleshooting")
GUIDES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

COMMANDED = (
    "../README",
    *(file.stem for file in sorted((ROOT / "docs").glob("*.md")) if "inhouse " in file.read_text()),
)


def page(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")


@cache
def said() -> list[str]:
    """Every text in the code, with … where something is put in."""
    found: list[str] = []
    for file in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
                found.append("".join(parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return [plain(text) for text in found]


def plain(text: str) -> str:
    return re.sub(r"\W*…\W*", "…", " ".join(text.split()))


def is_said(message: str) -> bool:
    return any(plain(message).strip("…") in text for text in said())


@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.stem)
def test_examples_can_be_run_as_they_are(path: Path) -> None:
    """They speak to the server that the quickstart starts, and parse; a key to be filled in is one that can be sent."""
    text = path.read_text(encoding="utf-8")
    ports = re.findall(
        r"(?:base_url|baseURL|BASE_URL|--base-url|--url)\W+https?://(?:127\.0\.0\.1|localhost):(\d+)", text
    )
    assert set(ports) <= {str(load(environ={}).server.port)}
    for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        tree = ast.parse(code)
        imported = {name.partition(".")[0] for node in ast.walk(tree) for name in _imports(node)}
        assert imported <= {*sys.stdlib_module_names, "openai", "mcp", "agents", "langchain_openai", "inhouse"}
    keys = re.findall(r'(?:key="|API_KEY=)(sk-[^"\s]*)', text)
    assert all(key.isascii() for key in keys), keys


def _imports(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module else []


MESSAGES = re.findall(r"\*\*`([^`]+)`\*\*", page("troubleshooting"))


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_is_one_that_the_code_says(message: str) -> None:
    assert re.search(r"\w{4,}", message), "nothing to look for"
    assert is_said(message)


def test_what_nobody_says_is_found_out() -> None:
    assert len(MESSAGES) > 40
    assert is_said("cannot listen on …:…")
    assert not is_said("cannot hear on …:…")


@pytest.mark.parametrize("name", PAGES)
def test_settings_are_there(name: str) -> None:
    text = page(name)
    sections = {path.partition(".")[0] for path in FIELDS if "." in path}
    for path in re.findall(rf"`((?:{'|'.join(sections)})\.[a-z_]+)\b", text):
        assert path in FIELDS, path
    for variable in re.findall(r"INHOUSE_[A-Z_]+", text):
        assert variable in VARIABLES or variable == CONFIG_VARIABLE, variable


def test_settings_files_can_be_loaded(tmp_path: Path) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", page("deployment"), re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        file = tmp_path / "inhouse.toml"
        file.write_text(block)
        settings = load(environ={CONFIG_VARIABLE: str(file)})
        if "limits" in tomllib.loads(block):
            assert settings.limits.processes == 2


@pytest.mark.parametrize("name", COMMANDED)
def test_commands_are_there(name: str) -> None:
    named = re.findall(r"(?:^|`|bin/)inhouse ((?:[a-z][a-z-]* ?)+)((?:[^`#\n\\]|\\\n)*)", page(name), re.MULTILINE)
    assert named
    for words, rest in named:
        first, *others = words.split()
        assert first in commands.COMMANDS, f"inhouse {words}"
        command: Any = commands.load(first)
        for word in others:
            if not hasattr(command, "commands"):
                break  # an argument
            assert word in command.commands, f"inhouse {words}"
            command = command.commands[word]
        known = {"--help", *(option for parameter in command.params for option in parameter.opts)}
        assert {*re.findall(r"(?<!\S)--[a-z-]+", rest)} <= known, f"inhouse {words}{rest}"


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    for target, anchor in re.findall(r"\]\((\w+)\.md(?:#([\w-]+))?\)", page(name)):
        anchors = {section.anchor for section in render(target, page(target)).sections}
        assert not anchor or anchor in anchors, f"{target}.md#{anchor}"


def test_metrics_are_there() -> None:
    families = {family.name: family.type for family in Metrics().registry.collect()}
    named = set(re.findall(r"\binhouse_[a-z_]+", page("deployment") + page("troubleshooting")))
    assert len(named) > 8
    for metric in named:
        plain = re.sub(r"_(total|bucket)$", "", metric)
        kind = families.get(plain)
        assert kind is not None, metric
        assert metric.endswith("_total") is (kind == "counter"), metric
    assert set(families) <= {re.sub(r"_(total|bucket)$", "", metric) for metric in named}
