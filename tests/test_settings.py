from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import pytest

from inhouse.settings import FIELDS, Secret, Settings, SettingsError, load, portable, restored

ROOT = Path(__file__).parent.parent


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment that finds its file in ``tmp_path``."""
    return {"INHOUSE_DATA_DIR": str(tmp_path)}


def write(environ: dict[str, str], text: str) -> Path:
    file = Path(environ["INHOUSE_DATA_DIR"]) / "inhouse.toml"
    file.write_text(text)
    return file


def test_files_are_kept_at_known_kinds_of_urls(environ: dict[str, str]) -> None:
    environ["INHOUSE_FILES__URL"] = "ftp://host/folder"
    with pytest.raises(SettingsError, match="INHOUSE_FILES__URL"):
        load({}, environ)


def test_the_defaults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.chdir(tmp_path)
    settings = load({}, {})
    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 4141)
    assert settings.data_dir == Path("/home/ada/.local/share/inhouse")
    assert settings.cache_dir == Path("/home/ada/.cache/inhouse")
    assert settings.database_url == "sqlite:////home/ada/.local/share/inhouse/inhouse.db"
    assert settings.engines.preload == ["gpt-4.1"]
    assert settings.api_key is None


def test_beside_data_that_were_served_here_they_are_meant(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ada")
    (tmp_path / "data").mkdir()
    assert load({}, {}).data_dir == Path("/home/ada/.local/share/inhouse"), "anything may be called data"
    (tmp_path / "data" / "server.lock").touch()
    (tmp_path / "data" / "inhouse.toml").write_text("[server]\nport = 7")
    settings = load({}, {})
    assert (settings.data_dir, settings.server.port) == (tmp_path / "data", 7)
    assert load({}, {"INHOUSE_DATA_DIR": "/x"}).data_dir == Path("/x")


def test_file_then_environment_then_flags(environ: dict[str, str]) -> None:
    write(environ, "[server]\nport = 1\nhost = '::1'\n[log]\nlevel = 'debug'\n")
    assert load({}, environ).server.port == 1
    environ["INHOUSE_SERVER__PORT"] = "2"
    assert load({}, environ).server.port == 2
    settings = load({"server.port": 3, "server.host": None}, environ)
    assert (settings.server.port, settings.server.host, settings.log.level) == (3, "::1", "debug")


@pytest.mark.parametrize(
    ("host", "reach", "expected"),
    [
        ("127.0.0.1", "auto", "loopback"),
        ("localhost", "auto", "loopback"),
        ("::1", "auto", "loopback"),
        ("0.0.0.0", "auto", "public"),
        ("::", "auto", "public"),
        ("inhouse.example", "auto", "public"),
        ("127.0.0.1", "public", "public"),
        ("0.0.0.0", "private", "private"),
    ],
)
def test_where_mcp_servers_may_be(host: str, reach: str, expected: str) -> None:
    assert load({"server.host": host, "mcp.reach": reach}, {}).mcp_reach == expected


def test_settings_travel() -> None:
    """To a worker elsewhere, as JSON, with their secrets, and not by way of its own environment."""
    given = load(
        {"data_dir": "/x", "server.port": 80, "log.level": "error"},
        {"INHOUSE_DATABASE__URL": "postgresql://me:secret@h/d", "INHOUSE_ENGINES__PRELOAD": "a,b"},
    )
    assert restored(json.loads(json.dumps(portable(given)))) == given
    with pytest.raises(SettingsError, match=r"there is no setting engines\.later in this version"):
        restored({"engines.later": 1})


def test_every_setting_can_be_given_everywhere(environ: dict[str, str]) -> None:
    values: dict[str, tuple[Any, str]] = {
        "data_dir": ("/x", "'/x'"),
        "cache_dir": ("/y", "'/y'"),
        "api_key": ("k", "'k'"),
        "admin_key": ("a", "'a'"),
        "server.host": ("::", "'::'"),
        "server.port": ("80", "80"),
        "server.cors_origins": ("https://a.example, https://b.example", "['https://a.example', 'https://b.example']"),
        "server.trusted_proxies": ("127.0.0.1, 10.0.0.0/8", "['127.0.0.1', '10.0.0.0/8']"),
        "server.max_body_bytes": ("2048", "2048"),
        "server.keepalive_s": ("2.5", "2.5"),
        "server.metrics_token": ("m", "'m'"),
        "database.url": ("postgresql://h/d", "'postgresql://h/d'"),
        "files.url": ("s3://bucket", "'s3://bucket'"),
        "files.project_quota_bytes": ("5", "5"),
        "files.fetch": ("off", "'off'"),
        "files.document_timeout_s": ("2.5", "2.5"),
        "files.document_memory": ("1073741824", "1073741824"),
        "console.url": ("https://models.example", "'https://models.example'"),
        "console.session_hours": ("1.5", "1.5"),
        "console.oidc_issuer": ("https://login.example", "'https://login.example'"),
        "console.oidc_client_id": ("c", "'c'"),
        "console.oidc_client_secret": ("s", "'s'"),
        "console.oidc_name": ("Example", "'Example'"),
        "console.oidc_domains": ("a.example,b.example", "['a.example', 'b.example']"),
        "console.oidc_role": ("reader", "'reader'"),
        "console.oidc_trust_addresses": ("true", "true"),
        "engines.slots": ("3", "3"),
        "engines.threads": ("2", "2"),
        "engines.kv_tokens": ("4096", "4096"),
        "engines.idle_unload_s": ("0", "0"),
        "engines.max_queue": ("0", "0"),
        "engines.queue_timeout_s": ("7.5", "7.5"),
        "engines.pull": ("false", "false"),
        "engines.preload": ("a,b", "['a', 'b']"),
        "limits.tier": ("auto", "'auto'"),
        "limits.tier_rule": ("paid_and_days", "'paid_and_days'"),
        "limits.usage_limits": ("false", "false"),
        "limits.store_url": ("redis://h", "'redis://h'"),
        "limits.on_store_failure": ("local_share", "'local_share'"),
        "limits.processes": ("3", "3"),
        "batches.runner": ("ray", "'ray'"),
        "batches.ray_address": ("head:6379", "'head:6379'"),
        "batches.ray_workers": ("4", "4"),
        "batches.ray_worker_cpus": ("0.5", "0.5"),
        "batches.ray_worker_gpus": ("1", "1.0"),
        "mcp.reach": ("private", "'private'"),
        "mcp.list_timeout_s": ("5", "5"),
        "mcp.call_timeout_s": ("7.5", "7.5"),
        "mcp.max_result_chars": ("1000", "1000"),
        "vector_stores.embedding_model": ("text-embedding-3-large", "'text-embedding-3-large'"),
        "vector_stores.index_memory": ("1000000", "1000000"),
        "webhooks.allow_networks": ("10.0.0.0/8, ::1/128", "['10.0.0.0/8', '::1/128']"),
        "log.level": ("error", "'error'"),
        "log.format": ("json", "'json'"),
    }
    assert values.keys() == FIELDS.keys()
    file = Path(environ.pop("INHOUSE_DATA_DIR")) / "all.toml"
    lines: dict[str, list[str]] = {}
    for path, (_, literal) in values.items():
        section, _, name = path.rpartition(".")
        lines.setdefault(section, []).append(f"{name} = {literal}")
    file.write_text("\n".join((f"[{s}]\n" if s else "") + "\n".join(rows) for s, rows in lines.items()))
    from_environment = load({}, {FIELDS[path].variable: text for path, (text, _) in values.items()})
    from_file = load({}, {"INHOUSE_CONFIG": str(file)})
    assert from_environment == from_file
    for path, field in FIELDS.items():
        value: Any = from_file
        for name in path.split("."):
            value = getattr(value, name)
        assert value != field.default, path


def test_an_empty_variable_counts_as_absent(environ: dict[str, str]) -> None:
    settings = load({}, {**environ, "INHOUSE_API_KEY": "", "INHOUSE_SERVER__PORT": "", "INHOUSE_CONFIG": ""})
    assert (settings.api_key, settings.server.port) == (None, 4141)


def test_null_is_no_way_to_unset_a_key(environ: dict[str, str]) -> None:
    key = load({}, {**environ, "INHOUSE_API_KEY": "null"}).api_key
    assert key is not None
    assert key.reveal() == "null"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("INHOUSE_PORT", "80", "INHOUSE_PORT: there is no such setting; did you mean INHOUSE_SERVER__PORT?"),
        (
            "INHOUSE_SEVER__HOST",
            "x",
            "INHOUSE_SEVER__HOST: there is no such setting; did you mean INHOUSE_SERVER__HOST?",
        ),
        ("INHOUSE_SERVER", "x", "INHOUSE_SERVER: there is no such setting; did you mean INHOUSE_SERVER__PORT?"),
        ("INHOUSE_QQQ", "x", "INHOUSE_QQQ: there is no such setting"),
        ("INHOUSE_SERVER__PORT", "http", "INHOUSE_SERVER__PORT: takes a whole number from 0 to 65535, not 'http'"),
        ("INHOUSE_SERVER__PORT", "65536", "INHOUSE_SERVER__PORT: takes a whole number from 0 to 65535, not '65536'"),
        ("INHOUSE_SERVER__PORT", "80.5", "INHOUSE_SERVER__PORT: takes a whole number from 0 to 65535, not '80.5'"),
        ("INHOUSE_SERVER__KEEPALIVE_S", "0", "INHOUSE_SERVER__KEEPALIVE_S: takes a number above 0, not '0'"),
        ("INHOUSE_ENGINES__SLOTS", "0", "INHOUSE_ENGINES__SLOTS: takes a whole number from 1 to 256, not '0'"),
        ("INHOUSE_LOG__LEVEL", "loud", "INHOUSE_LOG__LEVEL: takes one of debug, error, info, warning, not 'loud'"),
    ],
)
def test_a_bad_variable_names_itself(environ: dict[str, str], name: str, value: str, message: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        load({}, {**environ, name: value})
    assert str(refusal.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("port = 80", "there is no setting port; did you mean server.port?"),
        ("[server]\nprot = 80", "there is no setting server.prot; did you mean server.port?"),
        ("[sever]\nport = 80", "there is no setting sever"),
        ("server = 80", "server is a section; write [server] and its settings below"),
        ("[server]\nport = '80'", "server.port: takes a whole number from 0 to 65535, not '80'"),
        ("[server]\nport = true", "server.port: takes a whole number from 0 to 65535, not True"),
        ("[engines]\npreload = 'gpt-4.1'", "engines.preload: takes a list of text, not 'gpt-4.1'"),
        ("[server.port]\nx = 1", "server.port: takes a whole number from 0 to 65535, not {'x': 1}"),
        ("api_key = 12345678", "api_key: takes a secret"),
        ("data_dir = '/x'", "data_dir cannot be set in the file that is found through it"),
        ("[server", "not valid TOML"),
        ("\x00", "not valid TOML"),
    ],
)
def test_a_bad_file_names_itself(environ: dict[str, str], text: str, message: str) -> None:
    file = write(environ, text)
    with pytest.raises(SettingsError) as refusal:
        load({}, environ)
    assert str(refusal.value).startswith(f"{file}: {message}")


def test_a_bad_flag_names_itself(environ: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=r"--max-queue: takes a whole number, at least 0, not -1"):
        load({"engines.max_queue": -1}, environ)
    with pytest.raises(SettingsError, match=r"--prot: there is no setting server.prot"):
        load({"server.prot": 1}, environ)


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="INHOUSE_CONFIG: there is no file"):
        load({}, {"INHOUSE_CONFIG": str(tmp_path / "none.toml")})
    file = tmp_path / "folder.toml"
    file.mkdir()
    with pytest.raises(SettingsError, match="cannot be read"):
        load({}, {"INHOUSE_CONFIG": str(file)})


def test_a_file_that_was_named_may_choose_the_data_folder(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text(f"data_dir = '{tmp_path / 'data'}'")
    assert load({}, {"INHOUSE_CONFIG": str(file)}).data_dir == tmp_path / "data"


def test_folders_are_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ada")
    settings = load({"data_dir": Path("data")}, {"INHOUSE_CACHE_DIR": "~/weights"})
    assert settings.data_dir == tmp_path / "data"
    assert settings.cache_dir == Path("/home/ada/weights")
    assert settings.database_url == f"sqlite:///{tmp_path}/data/inhouse.db"


def test_the_variables_of_a_kubernetes_service_of_that_name_are_not_settings(environ: dict[str, str]) -> None:
    links = {
        "INHOUSE_SERVICE_HOST": "10.0.0.7",
        "INHOUSE_SERVICE_PORT": "4141",
        "INHOUSE_SERVICE_PORT_HTTP": "4141",
        "INHOUSE_PORT": "tcp://10.0.0.7:4141",
        "INHOUSE_PORT_4141_TCP": "tcp://10.0.0.7:4141",
        "INHOUSE_PORT_4141_TCP_PROTO": "tcp",
        "INHOUSE_PORT_4141_TCP_PORT": "4141",
        "INHOUSE_PORT_4141_TCP_ADDR": "10.0.0.7",
        "INHOUSE_DB_SERVICE_HOST": "10.0.0.8",
    }
    assert load({}, {**environ, **links}) == load({}, environ)


def test_secrets_show_nowhere(environ: dict[str, str]) -> None:
    environ |= {
        "INHOUSE_API_KEY": "hunter2-api",
        "INHOUSE_ADMIN_KEY": "hunter2-admin",
        "INHOUSE_DATABASE__URL": "postgresql://inhouse:hunter2@db/inhouse",
        "INHOUSE_SERVER__METRICS_TOKEN": "hunter2-metrics",
    }
    settings = load({}, environ)
    assert settings.database_url == "postgresql://inhouse:hunter2@db/inhouse"
    assert settings.api_key == Secret("hunter2-api")
    assert "hunter2" not in f"{settings} {settings!r} {settings.api_key} {settings.api_key!r} {settings.database.url}"
    write(environ, "api_key = ['hunter2']")
    del environ["INHOUSE_API_KEY"]
    with pytest.raises(SettingsError) as refusal:
        load({}, environ)
    assert "hunter2" not in str(refusal.value)


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("INHOUSE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("INHOUSE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("INHOUSE_SERVER__PORT", "7")
    settings = load()
    assert isinstance(settings, Settings)
    assert settings.server.port == 7


def test_every_setting_is_described() -> None:
    for field in FIELDS.values():
        assert field.description.endswith("."), field.path


def test_the_page_is_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("settings_docs", ROOT / "scripts" / "settings_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "docs" / "settings.md").read_text() == module.page(), "run: make docs"
