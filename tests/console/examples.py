"""What the examples of the API reference need to run: ids in the place of their placeholders."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from typing import Any

import httpx2
from tests.official.running import FAST, until

from .seeding import HANDBOOK, Seeded

WEATHER = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
LINE = {"method": "POST", "url": "/v1/chat/completions"}


class Things:
    """Makes what an example is about, anew each time: it may delete it."""

    def __init__(self, seeded: Seeded, client: httpx2.Client, certificate: Callable[[], str]) -> None:
        self.seeded = seeded
        self.client = client
        self.certificate = certificate
        self.numbers = itertools.count(1)
        self.users: list[str] = []

    def call(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        admin = path.startswith(("/organization/", "/projects/"))
        headers = {"authorization": f"Bearer {self.seeded.admin if admin else self.seeded.server.key}"}
        if path.startswith(("/threads", "/assistants")):
            headers["openai-beta"] = "assistants=v2"
        if body is not None:
            more["json"] = body
        answer = self.client.request(method, f"/v1{path}", headers=headers, **more)
        assert answer.status_code == 200, (method, path, answer.text)
        return answer.json()

    def of(self, method: str, route: str, code: str) -> dict[str, str]:
        """By placeholder, for the operation ``route`` and its example."""
        in_path = [name.upper() for name in re.findall(r"\{(\w+_id)\}", route)]
        wanted = dict.fromkeys([*in_path, *re.findall(r"\b([A-Z]+(?:_[A-Z]+)*_ID)\b", code)])
        found: dict[str, str] = {}
        for name in wanted:
            if name not in found:
                found |= getattr(self, name.lower())(method, route, found)
        self.state(method, route, found)
        return {name: found[name] for name in wanted}

    def state(self, method: str, route: str, found: dict[str, str]) -> None:
        """What has to be set before it can be looked at, or taken back."""
        if method != "POST" and route.endswith(("/spend_limit", "/model_permissions")):
            amount = {"threshold_amount": 100_000, "currency": "USD", "interval": "month"}
            models = {"mode": "deny_list", "model_ids": ["gpt-4o"]}
            path = route.replace("{project_id}", found.get("PROJECT_ID", ""))
            self.call("POST", path, amount if path.endswith("limit") else models)

    def number(self) -> int:
        return next(self.numbers)

    # Chat, responses, conversations

    def completion_id(self, *_: Any) -> dict[str, str]:
        body = {"model": FAST, "messages": [{"role": "user", "content": "Hello"}], "store": True}
        return {"COMPLETION_ID": self.call("POST", "/chat/completions", body)["id"]}

    def response_id(self, *_: Any) -> dict[str, str]:
        return {"RESPONSE_ID": self.call("POST", "/responses", {"model": FAST, "input": "Hello"})["id"]}

    def conversation_id(self, *_: Any) -> dict[str, str]:
        made = self.call("POST", "/conversations", {"items": [{"role": "user", "content": "Hello"}]})["id"]
        item = self.call("GET", f"/conversations/{made}/items")["data"][0]["id"]
        return {"CONVERSATION_ID": made, "ITEM_ID": item}

    item_id = conversation_id

    # Assistants

    def assistant_id(self, *_: Any) -> dict[str, str]:
        return {"ASSISTANT_ID": self.call("POST", "/assistants", {"model": FAST})["id"]}

    def thread_id(self, _: str, route: str, __: Any) -> dict[str, str]:
        thread = self.call("POST", "/threads", {"messages": [{"role": "user", "content": "Hello"}]})["id"]
        found = {"THREAD_ID": thread}
        if "{message_id}" in route:
            found["MESSAGE_ID"] = self.call("GET", f"/threads/{thread}/messages")["data"][0]["id"]
        if "{run_id}" in route:
            tools = [WEATHER] if route.endswith(("/cancel", "/submit_tool_outputs")) else []
            body = {**self._assistant(), "tools": tools}
            run = self.call("POST", f"/threads/{thread}/runs", body)["id"]
            here = f"/threads/{thread}/runs/{run}"
            until(lambda: self.call("GET", here)["status"] not in ("queued", "in_progress"), "the run never ends")
            told = self.call("GET", here)
            found["RUN_ID"] = run
            if tools:
                calls = told["required_action"]["submit_tool_outputs"]["tool_calls"]
                found["TOOL_CALL_ID"] = calls[0]["id"]
            elif "{step_id}" in route:
                found["STEP_ID"] = self.call("GET", f"{here}/steps")["data"][0]["id"]
        return found

    message_id = run_id = step_id = tool_call_id = thread_id

    def _assistant(self) -> dict[str, str]:
        return {"assistant_id": self.assistant_id()["ASSISTANT_ID"]}

    # Files

    def _upload(self, name: str, content: bytes, purpose: str) -> str:
        file: str = self.call("POST", "/files", files={"file": (name, content)}, data={"purpose": purpose})["id"]
        return file

    def file_id(self, _: str, route: str, __: Any) -> dict[str, str]:
        if route == "/batches":
            body = {"model": FAST, "messages": [{"role": "user", "content": "Hello"}]}
            lines = (json.dumps({"custom_id": str(n), **LINE, "body": body}) for n in range(3))
            return {"FILE_ID": self._upload("requests.jsonl", "\n".join(lines).encode(), "batch")}
        return {"FILE_ID": self._upload("handbook.md", HANDBOOK, "assistants")}

    def batch_id(self, _: str, route: str, found: dict[str, str]) -> dict[str, str]:
        if route.startswith("/vector_stores"):
            store = found.get("VECTOR_STORE_ID") or self.vector_store_id("", "", {})["VECTOR_STORE_ID"]
            body = {"file_ids": [self._upload("more.md", HANDBOOK, "assistants")]}
            made = self.call("POST", f"/vector_stores/{store}/file_batches", body)["id"]
            return {"VECTOR_STORE_ID": store, "BATCH_ID": made}
        body = {"endpoint": "/v1/chat/completions", "completion_window": "24h"}
        file = self.file_id("", "/batches", {})["FILE_ID"]
        return {"BATCH_ID": self.call("POST", "/batches", {**body, "input_file_id": file})["id"]}

    def upload_id(self, *_: Any) -> dict[str, str]:
        content = b"The sky is b"
        body = {"filename": "notes.md", "purpose": "user_data", "bytes": len(content), "mime_type": "text/markdown"}
        made = self.call("POST", "/uploads", body)["id"]
        part = self.call("POST", f"/uploads/{made}/parts", files={"data": content})["id"]
        return {"UPLOAD_ID": made, "PART_ID": part}

    part_id = upload_id

    def vector_store_id(self, _: str, route: str, __: Any) -> dict[str, str]:
        if not route.endswith(("{file_id}", "{file_id}/content", "/search")):
            return {"VECTOR_STORE_ID": self.call("POST", "/vector_stores", {"name": "Handbook"})["id"]}
        file = self._upload("handbook.md", HANDBOOK, "assistants")
        store = self.call("POST", "/vector_stores", {"name": "Handbook", "file_ids": [file]})["id"]
        here = f"/vector_stores/{store}"
        until(lambda: self.call("GET", here)["file_counts"]["in_progress"] == 0, "the file is never taken in")
        return {"VECTOR_STORE_ID": store, "FILE_ID": file}

    def webhook_endpoint_id(self, *_: Any) -> dict[str, str]:
        body = {"name": "Jobs", "url": "https://example.com/hook", "event_types": ["response.completed"]}
        return {"WEBHOOK_ENDPOINT_ID": self.call("POST", "/webhook_endpoints", body)["id"]}

    # The organization

    def project_id(self, _: str, route: str, __: Any) -> dict[str, str]:
        made = self.call("POST", "/organization/projects", {"name": f"Project {self.number()}"})["id"]
        here = f"/organization/projects/{made}"
        found = {"PROJECT_ID": made}
        if "{service_account_id}" in route or "{api_key_id}" in route:
            account = self.call("POST", f"{here}/service_accounts", {"name": "Crawler"})
            found |= {"SERVICE_ACCOUNT_ID": account["id"], "API_KEY_ID": account["api_key"]["id"]}
        if "{rate_limit_id}" in route:
            found["RATE_LIMIT_ID"] = self.call("GET", f"{here}/rate_limits")["data"][0]["id"]
        return found

    service_account_id = api_key_id = rate_limit_id = project_id

    def user_id(self, method: str, route: str, found: dict[str, str]) -> dict[str, str]:
        gone = method == "DELETE" and route == "/organization/users/{user_id}"
        user = self._user(fresh=gone)
        project, group = found.get("PROJECT_ID"), found.get("GROUP_ID")
        if "/users/{user_id}" in route and project:
            self.call("POST", f"/organization/projects/{project}/users", {"user_id": user, "role": "member"})
        if "/users/{user_id}" in route and group:
            self.call("POST", f"/organization/groups/{group}/users", {"user_id": user})
        return {"USER_ID": user}

    def _user(self, *, fresh: bool) -> str:
        """Somebody who came by an invite, as people do."""
        if self.users and not fresh:
            return self.users[0]
        email = f"person{self.number()}@example.com"
        self.call("POST", "/organization/invites", {"email": email, "role": "reader"})
        told = self.seeded.server.cli("console", "link", "--email", email)
        token = re.search(r"token=([\w-]+)", told)
        assert token is not None, told
        with self.seeded.client() as browser:
            csrf = re.search(r'name="csrf" value="([0-9a-f]{64})"', browser.get(f"/welcome?token={token[1]}").text)
            assert csrf is not None
            fields = {"csrf": csrf[1], "token": token[1], "email": email, "name": "Somebody"}
            password = "a long enough password"
            assert browser.post("/welcome", data={**fields, "password": password, "again": password}).status_code == 303
        listed = self.call("GET", "/organization/users?limit=100")["data"]
        user: str = next(each["id"] for each in listed if each["email"] == email)
        if not fresh:
            self.users.append(user)
        return user

    def invite_id(self, *_: Any) -> dict[str, str]:
        body = {"email": f"invited{self.number()}@example.com", "role": "reader"}
        return {"INVITE_ID": self.call("POST", "/organization/invites", body)["id"]}

    def key_id(self, *_: Any) -> dict[str, str]:
        return {"KEY_ID": self.call("POST", "/organization/admin_api_keys", {"name": "Other"})["id"]}

    def alert_id(self, _: str, route: str, found: dict[str, str]) -> dict[str, str]:
        at = f"/organization/projects/{found['PROJECT_ID']}" if "{project_id}" in route else "/organization"
        channel = {"type": "email", "recipients": ["ada@example.com"]}
        amount = {"threshold_amount": 5000 + self.number(), "currency": "USD", "interval": "month"}
        body = {**amount, "notification_channel": channel}
        return {"ALERT_ID": self.call("POST", f"{at}/spend_alerts", body)["id"]}

    def group_id(self, _: str, route: str, found: dict[str, str]) -> dict[str, str]:
        made = self.call("POST", "/organization/groups", {"name": f"Group {self.number()}"})["id"]
        if (project := found.get("PROJECT_ID")) and "/groups/{group_id}" in route:
            role = self.call("GET", f"/projects/{project}/roles")["data"][0]["id"]
            self.call("POST", f"/organization/projects/{project}/groups", {"group_id": made, "role": role})
        return {"GROUP_ID": made}

    def role_id(self, _: str, route: str, found: dict[str, str]) -> dict[str, str]:
        project = found.get("PROJECT_ID")
        at = f"/projects/{project}/roles" if project else "/organization/roles"
        scope = "api.responses.write" if project else "api.usage.read"
        made = self.call("POST", at, {"role_name": f"Role {self.number()}", "permissions": [scope]})["id"]
        for kind in ("user", "group"):
            if f"/{kind}s/{{{kind}_id}}/roles/{{role_id}}" in route:
                prefix = f"/projects/{project}" if project else "/organization"
                holder = found[f"{kind.upper()}_ID"]
                self.call("POST", f"{prefix}/{kind}s/{holder}/roles", {"role_id": made})
        return {"ROLE_ID": made}

    def certificate_id(self, _: str, route: str, found: dict[str, str]) -> dict[str, str]:
        body = {"name": "Office", "certificate": self.certificate()}
        made = self.call("POST", "/organization/certificates", body)["id"]
        project = found.get("PROJECT_ID")
        at = f"/organization/projects/{project}" if project else "/organization"
        if route.endswith("/deactivate"):
            self.call("POST", f"{at}/certificates/activate", {"certificate_ids": [made]})
        return {"CERTIFICATE_ID": made}
