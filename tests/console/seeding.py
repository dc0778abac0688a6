"""A server with something on every page of the console: people, projects, logs, files, a batch, budgets."""

from __future__ import annotations

import json
import re
import secrets
from typing import Any

import httpx2
from tests.chromium import Tab
from tests.official.running import CHAT, FAST, Server, until

PASSWORD = "correct horse battery"
ADA = "ada@example.com"
EMBEDDINGS = "all-minilm-l6-v2-int8", "cl100k-base"
HANDBOOK = b"""# Handbook

Expenses are paid back within two weeks; send the receipt to the office.

The coffee machine on the second floor is cleaned every Friday at noon.

Whoever leaves last turns off the lights and locks the door.
"""


class Seeded:
    """What was made. ``store``, ``response``, ``completion``, ``batch``, ``user`` are ids."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.root = server.base_url.removesuffix("/v1")
        self.admin = server.settings["admin_key"]
        self.store = self.response = self.completion = self.invite = self.batch = self.user = ""

    def client(self) -> httpx2.Client:
        return httpx2.Client(base_url=self.root, timeout=60)

    def administer(self, method: str, path: str, body: Any = None) -> Any:
        return self._ask(self.admin, method, path, body)

    def ask(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        return self._ask(self.server.key, method, path, body, **more)

    def _ask(self, key: str, method: str, path: str, body: Any, **more: Any) -> Any:
        if body is not None:
            more["json"] = body
        with self.client() as client:
            answer = client.request(method, f"/v1{path}", headers={"authorization": f"Bearer {key}"}, **more)
        assert answer.status_code == 200, (path, answer.text)
        return answer.json()

    def first_account(self) -> None:
        """As a person does with the link that the start printed."""
        link = re.search(r"/welcome\?token=([\w-]+)", self.server.log)
        assert link is not None
        with self.client() as browser:
            page = browser.get(f"/welcome?token={link[1]}")
            csrf = re.search(r'name="csrf" value="([0-9a-f]{64})"', page.text)
            assert csrf is not None
            fields = {"csrf": csrf[1], "token": link[1], "email": ADA, "name": "Ada Lovelace"}
            answer = browser.post("/welcome", data={**fields, "password": PASSWORD, "again": PASSWORD})
            assert answer.status_code == 303, answer.text


def start(server: Server, upstream: str | None) -> Seeded:
    """Starts the server and fills it.

    Args:
        upstream: URL of a model that follows rules; without one, the models are those that the product comes with.
    """
    if upstream is not None:
        for model in (CHAT, FAST):
            server.cli("models", "use", model, "--upstream", upstream)
    for weights in EMBEDDINGS:  # a machine where nothing was pulled would wait for them for ever
        server.cli("models", "pull", weights)
    server.start()
    seeded = Seeded(server)
    seeded.first_account()
    seeded.user = seeded.administer("GET", "/organization/users")["data"][0]["id"]
    seeded.administer("POST", "/organization/projects", {"name": "Website"})
    project = seeded.administer("GET", "/organization/projects")["data"][0]["id"]
    seeded.invite = seeded.administer(
        "POST",
        "/organization/invites",
        {"email": "grace@example.com", "role": "reader", "projects": [{"id": project, "role": "member"}]},
    )["id"]
    month = {"currency": "USD", "interval": "month"}
    seeded.administer("POST", "/organization/spend_limit", {"threshold_amount": 10_000, **month})
    seeded.administer(
        "POST",
        f"/organization/projects/{project}/spend_alerts",
        {"threshold_amount": 2_500, "notification_channel": {"type": "email", "recipients": [ADA]}, **month},
    )
    for model, said in ((CHAT, "Why is the sky blue?"), (FAST, "And the grass green?")):
        messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": said}]
        made = seeded.ask(
            "POST",
            "/chat/completions",
            {"model": model, "messages": messages, "store": True, "max_completion_tokens": 40},
        )
        seeded.completion = made["id"]
        seeded.response = seeded.ask("POST", "/responses", {"model": model, "input": said, "max_output_tokens": 40})[
            "id"
        ]
    hook = {"name": "Jobs", "url": "https://example.com/hook", "event_types": ["response.completed"]}
    seeded.ask("POST", "/webhook_endpoints", hook)
    upload = {"file": ("handbook.md", HANDBOOK, "text/markdown")}
    file = seeded.ask("POST", "/files", files=upload, data={"purpose": "assistants"})["id"]
    seeded.store = seeded.ask("POST", "/vector_stores", {"name": "Handbook", "file_ids": [file]})["id"]
    body = {"model": FAST, "messages": [{"role": "user", "content": "hi"}], "max_completion_tokens": 8}
    lines = [
        json.dumps({"custom_id": str(n), "method": "POST", "url": "/v1/chat/completions", "body": body})
        for n in range(20)
    ]
    requests = {"file": ("requests.jsonl", "\n".join(lines).encode())}
    asked = seeded.ask("POST", "/files", files=requests, data={"purpose": "batch"})["id"]
    batch = {"input_file_id": asked, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    seeded.batch = seeded.ask("POST", "/batches", batch)["id"]
    path = f"/vector_stores/{seeded.store}"
    until(lambda: seeded.ask("GET", path)["file_counts"]["in_progress"] == 0, "the file is never taken in")
    return seeded


def new_server(folder: Any) -> Server:
    admin = f"sk-admin-{secrets.token_urlsafe(32)}"
    return Server(folder, admin_key=admin, engines__preload="", engines__pull="false", limits__tier="auto")


async def sign_in(tab: Tab, root: str) -> None:
    """As Ada, the owner."""
    await tab.open(f"{root}/sign-in")
    await tab.fill("[name=email]", ADA)
    await tab.fill("[name=password]", PASSWORD)
    await tab.page.keyboard.press("Enter")
    await tab.until("location.pathname === '/dashboard'")
