"""Two servers as `docs/deployment.md` says how to run them: one PostgreSQL, one Valkey, a data folder each."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from urllib.parse import quote

from tests.ecosystem.model import rule_model
from tests.official.running import FAST, Server, until

from .conftest import Server as Valkey

ASK = {"model": FAST, "messages": [{"role": "user", "content": "hi"}], "max_completion_tokens": 8}
LIMIT = {"max_requests_per_1_minute": 1}


def test_two_servers_are_one_installation(postgres_url: str, shared_valkey: Valkey, tmp_path: Path) -> None:
    together = {
        "database__url": postgres_url,
        "limits__processes": "2",
        "limits__store_url": shared_valkey.url,
        "api_key": f"sk-proj-{secrets.token_urlsafe(32)}",
        "admin_key": f"sk-admin-{secrets.token_urlsafe(32)}",
        "engines__preload": FAST,
        "engines__pull": "false",
    }
    one, two = (Server(tmp_path / name, **together) for name in ("one", "two"))
    admin = {"Authorization": f"Bearer {together['admin_key']}"}
    try:
        with rule_model() as url:
            one.cli("models", "use", FAST, "--upstream", url)
            one.start()
            two.start()
            for server in (one, two):
                assert server.http("POST", "/v1/chat/completions", ASK).status == 200
            project = one.http("GET", "/v1/organization/projects", headers=admin).body
            (id,) = re.findall(rb'"id":"(proj_\w+)"', project)
            path = f"/v1/organization/projects/{quote(id.decode())}/rate_limits/rl-{FAST}"
            for server in (one, two):  # at once in the process that is asked, a second later in others
                assert server.http("POST", path, LIMIT, headers=admin).status == 200
            answers = [server.http("POST", "/v1/chat/completions", ASK) for server in (one, two)]
            assert [each.status for each in answers] == [200, 429], answers
            assert answers[1].error["code"] == "rate_limit_exceeded"

            shared_valkey.kill()
            answers = [server.http("POST", "/v1/chat/completions", ASK) for server in (one, two)]
            assert [each.status for each in answers] == [503, 503]
            assert "the store of the rate limits failed" in one.log
            shared_valkey.start()
            until(lambda: "the store of the rate limits answers again" in two.log, "it does not answer again")

            assert one.terminate() == 0
            assert two.http("GET", "/readyz").status == 200
            assert two.http("POST", "/v1/chat/completions", ASK).status == 200
    finally:
        for server in (one, two):
            server.stop()
        if not _answers(shared_valkey):
            shared_valkey.start()


def _answers(valkey: Valkey) -> bool:
    return (valkey.home / "valkey.sock").exists()
