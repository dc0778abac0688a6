"""Webhooks of the running server: managed and verified with the official SDK, killed, told after the restart."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import openai
import pytest

from .conftest import StartServer
from .running import FAST, Server, until

ENDED: Any = ["response.completed", "response.incomplete"]


@contextmanager
def receiving(port: int = 0) -> Iterator[tuple[str, list[tuple[dict[str, str], str]]]]:
    """A receiver on loopback: its URL, and headers and body of what it took."""
    taken: list[tuple[dict[str, str], str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            taken.append((dict(self.headers), body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", taken
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def own(start_server: StartServer) -> Server:
    return start_server(webhooks__allow_networks="127.0.0.0/8", engines__preload=FAST)


def test_endpoints_are_managed_with_the_sdk(own: Server) -> None:
    with own.client() as client, receiving() as (url, taken):
        made = client.webhooks.create(name="mine", url=url, event_types=["response.completed", "batch.failed"])
        assert made.object == "webhook_endpoint"
        assert made.signing_secret.startswith("whsec_")
        known = client.webhooks.retrieve(made.id)
        assert (known.name, known.url, known.event_types) == ("mine", url, ["batch.failed", "response.completed"])
        assert known.signing_secret_hint is not None
        assert made.signing_secret not in client.webhooks.with_raw_response.list().text
        assert "response.completed" in client.webhooks.event_types.list().data
        tested = client.webhooks.test(made.id, event_type="response.completed")
        assert (tested.status_code, tested.success) == (204, True)
        event = client.webhooks.unwrap(taken[0][1], taken[0][0], secret=made.signing_secret)
        assert event.type == "response.completed"
        rotated = client.webhooks.rotate_secret(made.id, keep_old_secret_active_for_24_hours=True)
        client.webhooks.test(made.id, event_type="batch.failed")
        for secret in (made.signing_secret, rotated.signing_secret):
            assert client.webhooks.unwrap(taken[1][1], taken[1][0], secret=secret).type == "batch.failed"
        assert client.webhooks.update(made.id, name="renamed").name == "renamed"
        with own.client(own.key_of_another_project()) as stranger:
            assert stranger.webhooks.list().data == []
            with pytest.raises(openai.NotFoundError):
                stranger.webhooks.delete(made.id)
        assert client.webhooks.delete(made.id).deleted
        with pytest.raises(openai.NotFoundError):
            client.webhooks.retrieve(made.id)
        assert made.signing_secret not in own.log


def test_a_background_response_is_told_of_after_a_kill(own: Server) -> None:
    with own.client() as client:
        with receiving() as (url, _):
            pass  # the receiver is down; its port is free
        made = client.webhooks.create(name="down", url=url, event_types=ENDED)
        response = client.responses.create(model=FAST, input="Say hi", background=True, max_output_tokens=16)
        until(
            lambda: (
                own.rows("SELECT attempts FROM webhook_deliveries WHERE endpoint_id = ?", made.id) not in ([], [(0,)])
            ),
            "no delivery was tried",
        )
        assert "pending" in own.cli("webhooks", "deliveries", made.id)
        own.kill()
        port = int(url.rsplit(":", 1)[1].split("/")[0])
        with receiving(port) as (_, taken):
            own.start()
            until(lambda: bool(taken), "it was not delivered", 60)
            event = client.webhooks.unwrap(taken[0][1], taken[0][0], secret=made.signing_secret)
            assert event.type in ENDED
            assert event.data.id == response.id
            until(
                lambda: (
                    own.rows("SELECT state FROM webhook_deliveries WHERE endpoint_id = ?", made.id) == [("delivered",)]
                ),
                "it is not written down",
            )
        assert own.tracebacks == []


def test_the_official_connection_on_the_running_server(own: Server) -> None:
    with own.client() as client, client.responses.connect() as connection:
        previous = None
        for text in ("Say hi", "Again"):
            create: dict[str, Any] = {"previous_response_id": previous} if previous else {}
            connection.response.create(model=FAST, input=text, store=False, max_output_tokens=16, **create)
            for event in connection:
                assert event.type != "error", event
                if event.type in ("response.completed", "response.incomplete"):
                    previous = event.response.id
                    break


def test_the_command_line(own: Server) -> None:
    with receiving() as (url, taken):
        id, secret = own.cli("webhooks", "create", url, "--event", "response.failed").split()
        assert secret.startswith("whsec_")
        assert "response.failed" in own.cli("webhooks", "list")
        assert "it answered 204" in own.cli("webhooks", "test", id, "--event", "response.failed")
        assert len(taken) == 1
        assert "is deleted" in own.cli("webhooks", "delete", id)
