"""The commands, run in this process; ``tests/test_server.py`` runs the server in one of its own."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import re
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import insert
from typer.testing import CliRunner

from inhouse.access import Access
from inhouse.access.keys import PREFIXES
from inhouse.cli import common
from inhouse.cli import deployments as deployments_module
from inhouse.cli import models as models_module
from inhouse.cli.commands import app
from inhouse.doctor import Check
from inhouse.engines.weights import WeightsCache, find_manifest
from inhouse.storage.database import Database
from inhouse.storage.schema import users

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("INHOUSE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("INHOUSE_DATA_DIR", str(tmp_path / "data"))
    for console in (common.out, common.err):
        monkeypatch.setattr(console, "width", 500)


@pytest.fixture
def run() -> Run:
    def run(*arguments: str, fails: bool = False) -> Result:
        result = CliRunner().invoke(app, list(arguments))
        if fails:
            assert result.exit_code == 1, result.output
            assert isinstance(result.exception, SystemExit), "a failure that is expected has no traceback"
            assert re.search(r"^error: ", result.stderr, re.MULTILINE)
        else:
            assert result.exit_code == 0, result.output
        return result

    return run


def words(text: str) -> str:
    return re.sub(r"\s+", " ", text)


async def authenticated(tmp_path: Path, secret: str) -> Any:
    database = Database(f"sqlite:///{tmp_path}/data/inhouse.db")
    try:
        return await Access(database).authenticate({"authorization": f"Bearer {secret}"})
    finally:
        await database.close()


def test_nobody_else_looks_into_the_data_folder(run: Run, tmp_path: Path) -> None:
    run("keys", "create")
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


# keys


def test_ids_are_whole_on_a_narrow_terminal(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or nobody could revoke the key that is listed."""
    secret = run("keys", "create", "for CI").stdout.strip()
    monkeypatch.setattr(common.out, "width", 80)
    assert asyncio.run(authenticated(tmp_path, secret)).key_id in run("keys", "list").stdout


def test_a_row_is_a_line_in_a_pipe(run: Run, tmp_path: Path) -> None:
    """As under a service manager, which gives no width."""
    name = "a name that takes more than a line of the terminals of old, as names of keys may well do"
    run("keys", "create", name)
    environment = {each: value for each, value in os.environ.items() if each != "COLUMNS"}
    command = [sys.executable, "-m", "inhouse.cli", "keys", "list"]
    listed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120).stdout
    assert [line for line in listed.splitlines() if name in line and "valid" in line]


def test_a_key_is_made_listed_and_revoked(run: Run, tmp_path: Path) -> None:
    secret = run("keys", "create", "for CI", "--days", "3").stdout.strip()
    assert re.fullmatch(re.escape(PREFIXES["project"]) + r"[\w-]{64}", secret), "nothing but the key, to be piped"
    caller = asyncio.run(authenticated(tmp_path, secret))
    listed = run("keys", "list").stdout
    assert secret not in listed
    [line] = [line for line in listed.splitlines() if "for CI" in line]
    assert caller.key_id in line
    assert "valid" in line
    assert caller.project_id in line
    said = run("keys", "revoke", caller.key_id).stdout
    assert said == f"{caller.key_id} (for CI) is revoked\n"
    assert "No such API key: key_nope" in run("keys", "revoke", "key_nope", fails=True).stderr
    assert "revoked" in next(line for line in run("keys", "list").stdout.splitlines() if "for CI" in line)
    with pytest.raises(Exception, match="Incorrect API key"):
        asyncio.run(authenticated(tmp_path, secret))


def test_an_admin_key(run: Run, tmp_path: Path) -> None:
    secret = run("keys", "create", "--admin").stdout.strip()
    assert secret.startswith(PREFIXES["admin"])
    assert asyncio.run(authenticated(tmp_path, secret)).admin


def test_a_key_of_somebody_who_is_no_member_says_so(run: Run, tmp_path: Path) -> None:
    assert "warning" not in run("keys", "create", "nobody's").stderr
    assert "warning" not in run("keys", "create", "asks", "--scope", "model.request").stderr
    assert "nothing needs the scope model.requst" in run("keys", "create", "typo", "--scope", "model.requst").stderr
    database = Database(f"sqlite:///{tmp_path / 'data' / 'inhouse.db'}")

    async def add_user() -> None:
        organization = (await Access(database).bootstrap()).organization_id
        row = {"id": "user-1", "organization_id": organization, "name": "Ada", "email": "a@b.c", "role": "reader"}
        await database.write(lambda connection: connection.execute(insert(users).values(**row, added_at=1)) and None)
        await database.close()

    asyncio.run(add_user())
    made = run("keys", "create", "Ada's", "--user", "user-1")
    assert "the key allows nothing until user-1 is a member of proj_" in made.stderr
    assert made.stdout.startswith(PREFIXES["project"])


def test_the_list_shows_what_expired(run: Run, tmp_path: Path) -> None:
    run("keys", "create", "short", "--days", "1")
    with sqlite3.connect(tmp_path / "data" / "inhouse.db") as database:
        database.execute("UPDATE api_keys SET expires_at = 1 WHERE name = 'short'")
    assert "expired" in next(line for line in run("keys", "list").stdout.splitlines() if "short" in line)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["keys", "create", " "], "A key needs a name."),
        (["keys", "create", "x", "--project", "proj_nope"], "No such project: proj_nope"),
        (["models", "show", "gpt-9"], "there is no model 'gpt-9'"),
        (["models", "use", "gpt-9", "--none"], "there is no model 'gpt-9'"),
        (["models", "use", "gpt-4.1"], "name weights, or --upstream, or --none"),
        (["models", "use", "gpt-4.1", "--none", "--upstream", "http://x/v1"], "name weights, or --upstream, or --none"),
        (["models", "use", "gpt-4.1", "nothing"], "'nothing' names no weights; choose of:"),
        (["models", "use", "gpt-4.1", "all-minilm-l6-v2-int8"], "all-MiniLM-L6-v2 int8 cannot serve gpt-4.1"),
        (["models", "use", "text-embedding-3-small", "smollm2-135m"], "cannot serve text-embedding-3-small"),
        (["models", "use", "text-embedding-3-small", "cl100k-base"], "no engine runs cl100k-base"),
        (["models", "use", "text-embedding-3-small", "all-minilm", "--window", "9"], "for models that write text"),
        (["models", "use", "text-embedding-3-small", "all-minilm", "--option", "x"], "--option takes NAME=VALUE"),
        (["models", "use", "gpt-4.1", "smollm2-135m", "--option", "x=1"], "this one runs on llama.cpp"),
        (["models", "use", "gpt-4.1", "smollm2-135m", "--vision"], "--vision is for --upstream"),
        (["models", "use", "gpt-4.1", "/nowhere/x.gguf"], "there is no file /nowhere/x.gguf"),
        (["models", "use", "gpt-4.1", "--upstream", "ftp://x"], "upstream url must start with http:// or https://"),
        (["models", "use", "gpt-4.1", "--upstream", "http://u:p@x/v1"], "upstream url must not hold a password"),
        (
            ["models", "use", "gpt-4.1", *(f"--upstream=http://{x}/v1" for x in "abc"), *["--upstream-model=m"] * 2],
            "give --upstream-model once for all servers, or once for each",
        ),
        (["models", "pull", "nothing"], "'nothing' names no weights"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_line(run: Run, arguments: list[str], reason: str) -> None:
    assert reason in words(run(*arguments, fails=True).stderr)


# models


def test_models_and_weights_are_listed(run: Run) -> None:
    listed = run("models", "list").stdout
    [line] = [line for line in listed.splitlines() if re.match(r"gpt-4\.1 ", line)]
    assert "Qwen2.5-Coder-0.5B-Instruct Q4_K_M on llama.cpp, this machine" in line
    assert "by default" in line
    assert "not deployed" in next(line for line in listed.splitlines() if "gpt-4o-mini" in line)
    assert "Apache-2.0" in next(line for line in listed.splitlines() if "smollm2-135m-instruct-q4_1" in line)


def test_a_model_is_shown_with_its_history(run: Run, tmp_path: Path) -> None:
    said = run(
        "models",
        "use",
        "gpt-4.1",
        "--upstream",
        "http://a:1/v1",
        "--upstream",
        "http://b:2/v1",
        "--upstream-model",
        "m",
    ).stdout
    assert said == "gpt-4.1 is now served by m at http://a:1/v1, m at http://b:2/v1\n"
    run("models", "use", "gpt-4.1-2025-04-14", "--none")
    shown = run("models", "show", "gpt-4.1").stdout
    assert "window 1,047,576 tokens, answers up to 32,768" in shown
    assert "per 1M tokens: input $2.00, cached $0.50, output $8.00" in shown
    history = [words(line).strip() for line in shown.splitlines() if "served by" in line or "before" in line]
    assert history[0].startswith("served by not deployed")
    assert history[1].startswith("before m at http://a:1/v1, m at http://b:2/v1")
    assert "Qwen2.5-Coder" in history[2]
    assert "not deployed" in next(
        line for line in run("models", "list").stdout.splitlines() if line.startswith("gpt-4.1 ")
    )


def bound(tmp_path: Path) -> Any:
    with sqlite3.connect(tmp_path / "data" / "inhouse.db") as database:
        [deployment] = database.execute("SELECT deployment FROM bindings ORDER BY id DESC LIMIT 1").fetchone()
    return json.loads(deployment)


def test_upstreams_with_keys_each(run: Run, tmp_path: Path) -> None:
    run(
        *("models", "use", "gpt-4.1", "--window", "9000"),
        *("--upstream", "http://a/v1", "--upstream-model", "x", "--upstream-key-env", "A"),
        *("--upstream", "http://b/v1", "--upstream-model", "y", "--upstream-key-env", "B"),
    )
    assert bound(tmp_path) == {
        "type": "upstream",
        "upstream": {
            "targets": [
                {"url": "http://a/v1", "model": "x", "key_env": "A"},
                {"url": "http://b/v1", "model": "y", "key_env": "B"},
            ]
        },
        "window": 9000,
    }


def test_weights_of_a_manifest(run: Run, tmp_path: Path) -> None:
    run("models", "use", "gpt-4.1", "smollm2-135m-instruct", "--window", "600", "--temperature", "0", "--slots", "2")
    deployment = bound(tmp_path)
    assert deployment["weights"] == "smollm2-135m-instruct-q4_1"
    assert len(deployment["sha256"]) == 64
    assert (deployment["window"], deployment["slots"], deployment["decoding"]["temperature"]) == (600, 2, 0.0)


def test_weights_of_a_host(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (small,) = WeightsCache().pull(find_manifest("smollm2-135m-instruct"))
    pulled: list[str] = []
    monkeypatch.setattr(deployments_module, "pull_with_bar", lambda cache, manifest: pulled.append(manifest.id))
    monkeypatch.setenv("INHOUSE_CACHE_DIR", str(tmp_path / "cache"))
    options = ["--threads", "1", "--option", "window=128"]
    said = run("models", "use", "text-embedding-3-large", "all-minilm", *options).stdout
    assert said == "text-embedding-3-large is now served by all-MiniLM-L6-v2 int8 on ONNX Runtime, this machine\n"
    assert sorted(pulled) == ["all-minilm-l6-v2-int8", "cl100k-base"]
    file = tmp_path / "e.gguf"
    file.symlink_to(small)
    said = run("models", "use", "text-embedding-3-small", str(file), "--option", "pooling=mean").stdout
    assert said.endswith(" on llama.cpp, this machine\n")


def test_weights_of_a_file(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path,) = WeightsCache().pull(find_manifest("smollm2-135m-instruct"))
    link = tmp_path / "mine.gguf"
    link.symlink_to(path)
    monkeypatch.chdir(tmp_path)
    run("models", "use", "gpt-4.1", "mine.gguf")
    assert bound(tmp_path)["weights"] == str(link)
    (tmp_path / "junk.gguf").write_bytes(b"junk")
    assert "is not a GGUF file" in run("models", "use", "gpt-4.1", "junk.gguf", fails=True).stderr


def test_a_user_without_a_name_may_bind(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 10001")

    monkeypatch.setattr(models_module, "getuser", nobody)
    run("models", "use", "gpt-4.1", "--none")
    assert f"by uid {os.getuid()}" in words(run("models", "show", "gpt-4.1").stdout)


# doctor, openapi, and what all commands share


@pytest.mark.parametrize(("states", "code"), [(["ok", "warn"], 0), (["ok", "fail", "ok"], 1)])
def test_doctor_ends_with_whether_something_failed(
    monkeypatch: pytest.MonkeyPatch, states: list[Any], code: int
) -> None:
    seen: dict[str, Any] = {}

    def checks(**given: Any) -> list[Check]:
        seen.update(given, answers=given["database"]())
        return [Check(f"check {number}", state, "found", "advice") for number, state in enumerate(states)]

    monkeypatch.setattr(importlib.import_module("inhouse.cli.doctor"), "run_checks", checks)
    assert CliRunner().invoke(app, ["doctor", "--deep"]).exit_code == code
    assert (seen["deep"], seen["answers"], seen["port"]) == (True, "sqlite", 4141)
    assert "smollm2-135m-instruct-q4_1" in {manifest.id for manifest in seen["weights"]}


def test_openapi_is_json(run: Run) -> None:
    document = json.loads(run("openapi").stdout)
    assert "/chat/completions" in document["paths"]
    assert document["openapi"].startswith("3.")


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"INHOUSE_DATABASE__URL": "mysql://x/y"}, "database.url: mysql is not supported"),
        ({"INHOUSE_DATABASE__URL": "postgresql://ada:hunter2@127.0.0.1:1/x"}, "failed, nothing was changed"),
        ({"INHOUSE_SERVER__PORT": "http"}, "INHOUSE_SERVER__PORT: takes a whole number"),
    ],
)
@pytest.mark.parametrize("command", [["models", "list"], ["keys", "list"], ["serve"], ["doctor"]], ids=" ".join)
def test_settings_that_cannot_be_used(
    run: Run, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], reason: str, command: list[str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    stderr = words(run(*command, fails=True).stderr)
    assert reason in stderr
    assert "hunter2" not in stderr


@pytest.mark.parametrize("command", [["models", "list"], ["keys", "create"], ["serve"]], ids=" ".join)
def test_a_folder_that_cannot_be_made(run: Run, monkeypatch: pytest.MonkeyPatch, command: list[str]) -> None:
    monkeypatch.setenv("INHOUSE_DATA_DIR", "/dev/null/x")
    assert "the data folder /dev/null/x cannot be made" in run(*command, fails=True).stderr


def test_who_only_looks_makes_no_database(run: Run, tmp_path: Path) -> None:
    missing = f"there is no database {tmp_path / 'data' / 'inhouse.db'}"
    for command in ("keys list", "users list", "prompts list", "webhooks list", "tiers show", "ledger verify"):
        assert missing in run(*command.split(), fails=True).stderr
    assert not (tmp_path / "data").exists()
    made = run("keys", "create")
    assert made.stderr == f"a new database: {tmp_path / 'data' / 'inhouse.db'}\n"
    assert run("keys", "create").stderr == ""


def test_a_database_of_a_newer_version_is_left_alone(run: Run, tmp_path: Path) -> None:
    run("models", "list")
    with sqlite3.connect(tmp_path / "data" / "inhouse.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999_future'")
    assert "The database is at schema 9999_future" in run("models", "list", fails=True).stderr


def test_no_command_shows_what_there_is() -> None:
    result = CliRunner().invoke(app, [])
    for command in ("serve", "models", "keys", "doctor", "openapi"):
        assert command in result.output


def test_prompts_are_made_changed_and_published(run: Run, tmp_path: Path) -> None:
    run("models", "list")
    assert "there is no project yet" in run("prompts", "create", "Greeting", "--text", "Hi", fails=True).stderr
    run("keys", "create")
    id = run("prompts", "create", "Greeting", "--text", "Greet {{name}}.", "--model", "gpt-4.1").stdout.strip()
    shown = run("prompts", "show", id)
    assert shown.stderr == "version 1, variables: name\n"
    file = tmp_path / "prompt.json"
    file.write_text(shown.stdout.replace("Greet", "Meet"))
    assert run("prompts", "update", id, "--file", str(file)).stdout.split() == ["2"]
    assert "Greet {{name}}." in run("prompts", "show", id).stdout
    run("prompts", "publish", id, "2")
    assert "Meet {{name}}." in run("prompts", "show", id).stdout
    assert id in run("prompts", "list").stdout
    assert "not found" in run("prompts", "publish", id, "7", fails=True).stderr
    assert "--text or --file" in run("prompts", "update", id, fails=True).stderr
    # What is not given stays as it was in the newest version.
    file.write_text('{"messages": [{"role": "user", "content": "Hi"}], "model": "gpt-4.1", "temperature": 0.5}')
    run("prompts", "update", id, "--file", str(file))
    assert run("prompts", "update", id, "--text", "Ho {{name}}.").stdout.split() == ["4"]
    shown = run("prompts", "show", id, "--version", "4").stdout
    assert [word in shown for word in ("Ho {{name}}.", "gpt-4.1", "0.5", '"Hi"')] == [True, True, True, False]
    run("prompts", "update", id, "--model", "gpt-4.1-mini", "--publish")
    shown = run("prompts", "show", id).stdout
    assert [word in shown for word in ("Ho {{name}}.", "gpt-4.1-mini", "0.5")] == [True, True, True]
    file.write_text('{"messages": []}')
    assert "messages" in run("prompts", "create", "Empty", "--file", str(file), fails=True).stderr
    assert "there is no project proj_none" in run("prompts", "list", "--project", "proj_none", fails=True).stderr


def test_assistants_are_taken_up_and_moved_off(run: Run, tmp_path: Path) -> None:
    run("keys", "create")
    file = tmp_path / "export.json"
    assistant = {"object": "assistant", "id": "asst_old", "created_at": 1, "model": "gpt-4.1", "instructions": "Hi"}
    message = {
        "object": "thread.message",
        "id": "msg_old",
        "created_at": 3,
        "role": "user",
        "content": [{"type": "text", "text": {"value": "Hello", "annotations": []}}],
    }
    thread = {"object": "thread", "id": "thread_old", "created_at": 2, "messages": [message]}
    file.write_text(json.dumps([assistant, thread, {"object": "thread.run", "id": "run_old"}]))
    taken = run("assistants", "import", str(file)).stdout
    assert "taken up: 1 assistants, 1 threads, 1 messages; there already: 0" in taken
    assert "1 × thread.run: runs are not taken up" in taken
    assert "asst_old → pmpt_" in run("assistants", "migrate", "asst_old").stdout
    moved = run("assistants", "migrate", "--all").stdout
    assert re.search(r"thread_old → conv_\w+ \(1 items\)", moved)
    assert "Hi" in run("prompts", "show", re.findall(r"pmpt_\w+", moved)[0]).stdout
    assert "No assistant found" in run("assistants", "migrate", "asst_nope", fails=True).stderr
    assert "name an assistant, or say --all" in run("assistants", "migrate", fails=True).stderr
    file.write_text("{}")
    assert "holds no assistants" in run("assistants", "import", str(file), fails=True).stderr


def test_guardrails_are_set_and_shown(run: Run, tmp_path: Path) -> None:
    secret = run("keys", "create").stdout.strip()
    assert json.loads(run("guardrails", "show").stdout)["input"] == "off"
    options = ("--input", "block", "--output", "annotate", "--category", "violence", "--threshold", "violence=0.8")
    told = json.loads(run("guardrails", "set", *options).stdout)
    assert (told["input"], told["output"], told["thresholds"]) == ("block", "annotate", {"violence": 0.8})
    assert json.loads(run("guardrails", "show").stdout) == told
    guardrail = asyncio.run(authenticated(tmp_path, secret)).policy.guardrail
    assert guardrail is not None
    assert (guardrail.input, guardrail.categories) == ("block", ("violence",))
    for wrong, said in (
        (["--threshold", "violence"], "such as violence=0.8"),
        (["--threshold", "rudeness=0.8"], "rudeness"),
        (["--input", "maybe"], "maybe"),
        (["--model", "gpt-4.1"], "gpt-4.1"),
        (["--project", "proj_none"], "there is no project proj_none"),
    ):
        assert said in run("guardrails", "set", *wrong, fails=True).stderr
    run("guardrails", "set")
    assert json.loads(run("guardrails", "show").stdout)["thresholds"] == {}


def test_a_tier_is_shown_pinned_and_let_go(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("models", "list")
    assert "there is no organization yet" in run("tiers", "show", fails=True).stderr
    run("keys", "create")
    assert "Tier 5" in run("tiers", "show").stdout, "nobody is limited by accident"
    monkeypatch.setenv("INHOUSE_LIMITS__TIER", "auto")
    assert re.search(r"Tier 1 .* Tier 2: \$50(\.0+)? more", words(run("tiers", "show").stdout))
    assert "is in Tier 3" in run("tiers", "pin", "3").stdout
    assert re.search(r"Tier 3 .* pinned", words(run("tiers", "show").stdout))
    assert "is in Tier 1" in run("tiers", "release").stdout
    assert (
        "there is no organization org-none" in run("tiers", "pin", "2", "--organization", "org-none", fails=True).stderr
    )
    monkeypatch.setenv("INHOUSE_LIMITS__TIER", "off")
    assert "nobody is limited" in run("tiers", "show").stdout


def test_a_folder_with_a_whisper(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "my-whisper"
    folder.mkdir()
    assert "holds no model.bin" in run("models", "use", "whisper-1", str(folder), fails=True).stderr
    (folder / "model.bin").write_bytes(b"weights")
    run("models", "use", "whisper-1", str(folder))
    assert "my-whisper" in run("models", "list").stdout


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("gpt-9",), "The model `gpt-9` does not exist"),
        (("text-embedding-3-small",), "not a chat model"),
        (("gpt-4.1", "--tasks", "none.jsonl"), "none.jsonl: No such file"),
        (("gpt-4.1", "--tasks", "wrong.jsonl"), "wrong.jsonl: line 1: "),
        (("gpt-4.1", "--api-key", "x", "--base-url", "http://127.0.0.1:1/v1"), "does not answer"),
        (("gpt-4.1",), "no key: "),
    ],
)
def test_what_cannot_be_evaluated(
    arguments: tuple[str, ...], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    (tmp_path / "wrong.jsonl").write_text("nonsense\n")
    CliRunner().invoke(app, ["models", "list"])
    result = CliRunner().invoke(app, ["models", "evaluate", *arguments])
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    [told] = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert reason in told


# lists, for people and for programs


def test_lists_are_json_for_programs(run: Run) -> None:
    made = json.loads(run("keys", "create", "[/b] for CI", "--scope", "model.request", "--json").stdout)
    keys = json.loads(run("keys", "list", "--json").stdout)
    [key] = [key for key in keys if key["id"] == made["id"]]
    assert (key["name"], key["may"], key["state"], key["last_used"]) == (
        "[/b] for CI",
        ["model.request"],
        "valid",
        None,
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", key["created"])
    assert made["key"].startswith(PREFIXES["project"])
    listed = json.loads(run("models", "list", "--json").stdout)
    assert {"model": "gpt-4o", "served_by": "not deployed", "since": None} in listed["models"]
    assert next(each for each in listed["weights"] if each["weights"] == "whisper-tiny")["size_bytes"] > 1e6
    shown = json.loads(run("models", "show", "gpt-4.1", "--json").stdout)
    assert shown["card"]["context_window"] == 1_047_576
    assert shown["bindings"][0]["deployment"]["weights"] == "qwen2.5-coder-0.5b-instruct-q4_k_m"
    receiver = json.loads(run("webhooks", "create", "http://127.0.0.1:9/hook", "--json").stdout)
    assert [each["id"] for each in json.loads(run("webhooks", "list", "--json").stdout)] == [receiver["id"]]
    assert json.loads(run("tiers", "show", "--json").stdout)["standing"]["tier"] == "tier_5"
    assert json.loads(run("ledger", "verify", "--json").stdout)["findings"] == []
    run("credits", "grant", "2.50")
    assert 2_500_000_000 in [each["limit_nanos"] for each in json.loads(run("credits", "show", "--json").stdout)]
    for command in ("users list", "prompts list", "webhooks deliveries"):
        assert json.loads(run(*command.split(), "--json").stdout) == []


def test_a_list_is_whole_in_pipes_and_in_narrow_terminals(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("keys", "create", "[/b] with a rather long name, so that no terminal holds its line")
    [row] = [line for line in run("keys", "list").stdout.splitlines() if "[/b] with" in line]
    id = row.split()[0]
    for width in (20, 80, 120, 200):
        monkeypatch.setattr(common.out, "width", width)
        listed = run("keys", "list").stdout
        assert id in listed.split(), f"{width}: can be given to `keys revoke`"
        assert listed.count("…") == 2, "of the hints of two keys"
        assert "qwen2.5-coder-0.5b-instruct-q4_k_m" in run("models", "list").stdout.split()
    assert max(map(len, run("models", "list").stdout.splitlines())) <= 200


# wrong input, and nobody there


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("gpt-4.1 --upstream http://x/v1 --temperature 0.5", "--temperature is for weights"),
        ("gpt-4.1 --upstream http://x/v1 --slots 2", "--slots is for weights"),
        ("gpt-4.1 --upstream http://x/v1 --option a=b", "--option is for weights"),
        ("gpt-4.1 smollm2-135m-instruct --upstream-model m", "--upstream-model is for --upstream"),
        ("gpt-4.1 --none --window 600", "--window is for what serves the model"),
    ],
)
def test_options_that_would_change_nothing_are_refused(run: Run, arguments: str, reason: str) -> None:
    assert reason in run("models", "use", *arguments.split(), fails=True).stderr


def test_files_that_hold_something_else(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"\xff\xfe\xec")
    run("keys", "create")
    assert f"{file}: is not UTF-8" in run("simulate", str(file), fails=True).stderr
    assert f"{file}: " in run("prompts", "create", "x", "--file", str(file), fails=True).stderr
    file.write_text("{")
    refused = run("prompts", "create", "x", "--file", str(file), fails=True).stderr
    assert f"{file}: " in refused
    assert "HTTP" not in refused


def test_an_export_that_fails_leaves_the_file_as_it_was(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "traffic.jsonl"
    file.write_text("kept")
    run("ledger", "export", str(file), fails=True)
    assert file.read_text() == "kept"


def test_a_server_that_is_not_there_is_not_waited_for(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.import_module("inhouse.cli.batches"), "PATIENCE_S", 10_000)
    nowhere = ("--api-key", "x", "--base-url", "http://127.0.0.1:1/v1")
    assert "does not answer" in run("batches", "watch", "batch_1", *nowhere, fails=True).stderr
