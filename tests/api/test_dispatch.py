"""What is answered to requests, in process."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
import structlog
from starlette.applications import Starlette
from starlette.routing import Mount
from tests.api.things import Gate, Things, call, post

from inhouse.api.dispatch import Dispatcher
from inhouse.api.operation import operations_of


@pytest.fixture
def things() -> Things:
    return Things()


@pytest.fixture
def app(things: Things) -> Dispatcher:
    return Dispatcher(operations_of(things), Gate(), max_body_bytes=1_000_000)


async def test_json_answer_and_its_headers(app: Dispatcher) -> None:
    answer = await call(app, "POST", "/v1/things", post())
    assert answer.status == 200
    assert json.loads(answer.body) == {"id": "n", "object": "thing", "query": None}
    headers = answer.headers
    assert headers["content-type"] == "application/json"
    assert int(headers["content-length"]) == len(answer.body)
    assert len(headers["x-request-id"]) == 36
    assert headers["x-request-id"].startswith("req_")
    assert headers["openai-processing-ms"].isdigit()
    assert headers["openai-version"] == "2020-10-01"
    assert headers["openai-organization"] == "org-one"
    assert headers["openai-project"] == "proj_one"
    assert headers["x-ratelimit-limit-requests"] == "500"
    again = await call(app, "POST", "/v1/things", post())
    assert again.headers["x-request-id"] != headers["x-request-id"]


async def test_unknown_path_wrong_method_and_wrong_key(app: Dispatcher) -> None:
    unknown = await call(app, "POST", "/v1/foo", post(), {"authorization": ""})
    assert (unknown.status, unknown.error["message"]) == (404, "Invalid URL (POST /v1/foo)")
    assert unknown.error["type"] == "invalid_request_error"

    wrong = await call(app, "PUT", "/v1/things", post(), {"authorization": ""})
    assert wrong.status == 405
    assert wrong.error["message"] == (
        "Not allowed to PUT on /v1/things. (HINT: Perhaps you meant to use a different HTTP method?)"
    )
    assert wrong.headers["allow"] == "GET, POST"

    stranger = await call(app, "POST", "/v1/things", b"not json", {"authorization": "Bearer bad"})
    assert (stranger.status, stranger.error["code"]) == (401, "invalid_api_key")
    for answer in (unknown, wrong, stranger):
        assert answer.headers["x-request-id"].startswith("req_")
        assert "openai-organization" not in answer.headers
        assert "openai-processing-ms" not in answer.headers


@pytest.mark.parametrize(
    ("path", "id"),
    [
        ("/v1/things/a", "a"),
        ("/v1/things/a/", "a"),
        ("/v1/things/org%2Fmodel", "org/model"),
        ("/v1/things/ft:gpt-4.1:x", "ft:gpt-4.1:x"),
        ("/v1/things/n%C3%A4me", "näme"),
        ("/v1/things/a/parts/3", "a/3"),
        ("/v1/things/special/x", "special x"),
        ("/v1/things/special/parts/4", "special/4"),
        ("/v1/things/" + "a" * 512, "a" * 512),
    ],
)
async def test_path_parameters(app: Dispatcher, path: str, id: str) -> None:
    answer = await call(app, "GET", path)
    assert answer.status == 200, answer.body
    assert json.loads(answer.body)["id"] == id


@pytest.mark.parametrize(
    "path",
    [
        "/v1",
        "/v1/",
        "/things",
        "/v1things",
        "/v1things/a",
        "/v2/things",
        "/v1//things",
        "/v1/things//parts/1",
        "/v1/things/" + "a" * 513,
        "/v1/things/a%00",
        "/v1/things/%ff",
        "/v1/things/a%0d%0ax",
        "/v1/things/a/b",
    ],
)
async def test_paths_that_are_none(app: Dispatcher, path: str) -> None:
    answer = await call(app, "GET", path)
    assert answer.status == 404
    assert answer.error["message"].startswith(f"Invalid URL (GET {path[:150]}")


async def test_typed_path_parameter_is_validated(app: Dispatcher) -> None:
    answer = await call(app, "GET", "/v1/things/a/parts/0")
    assert (answer.status, answer.error["param"], answer.error["code"]) == (400, "number", "integer_below_min_value")


@pytest.mark.parametrize("root_path", ["", "/outer"])
async def test_mounted_or_not(things: Things, root_path: str) -> None:
    dispatcher = Dispatcher(operations_of(things), Gate())
    mounted = Starlette(routes=[Mount("/v1", app=dispatcher)])
    for app in (dispatcher, mounted):
        answer = await call(app, "GET", f"{root_path}/v1/things/x%2Fy", root_path=root_path)
        assert json.loads(answer.body)["id"] == "x/y"
    double = await call(mounted, "GET", f"{root_path}/v1/v1/things", root_path=root_path)
    assert double.status == 404


async def test_query(app: Dispatcher) -> None:
    query = "limit=3&order=desc&include[]=a&include%5B%5D=b&metadata[k]=v&unknown=1"
    answer = await call(app, "GET", "/v1/things", query=query)
    assert json.loads(answer.body)["query"] == {
        "limit": 3,
        "order": "desc",
        "include": ["a", "b"],
        "metadata": {"k": "v"},
    }
    for query, code in (
        ("limit=0", "integer_below_min_value"),
        ("limit=x", "invalid_type"),
        ("order=up", "invalid_value"),
    ):
        assert (await call(app, "GET", "/v1/things", query=query)).error["code"] == code


async def test_head_is_get_without_a_body(app: Dispatcher) -> None:
    got = await call(app, "GET", "/v1/things/a")
    head = await call(app, "HEAD", "/v1/things/a")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == got.headers["content-length"]
    assert (await call(app, "HEAD", "/v1/events")).status == 405


async def test_none_is_204(app: Dispatcher) -> None:
    answer = await call(app, "DELETE", "/v1/things/a")
    assert (answer.status, answer.body) == (204, b"")
    assert "content-length" not in answer.headers


async def test_bodies(app: Dispatcher) -> None:
    whole = await call(app, "POST", "/v1/things", [post()[:5], post()[5:]])
    assert whole.status == 200
    empty = await call(app, "POST", "/v1/things", b"")
    assert empty.status == 400
    assert empty.error["message"].startswith("We could not parse the JSON body of your request. (HINT: ")
    typed = await call(app, "POST", "/v1/things", post(), {"content-type": "application/json; charset=utf-8"})
    assert typed.status == 200
    untyped = await call(app, "POST", "/v1/things", post(), {"content-type": ""})
    assert untyped.status == 200
    text = await call(app, "POST", "/v1/things", post(), {"content-type": "text/plain"})
    assert (text.status, text.error["code"]) == (400, "unsupported_content_type")
    assert text.error["message"] == (
        "Unsupported content type: 'text/plain'. This API method only accepts 'application/json' requests, but you "
        "specified the header 'Content-Type: text/plain'. Please try again with a supported content type."
    )
    gzip = await call(app, "POST", "/v1/things", post(), {"content-encoding": "gzip"})
    assert (gzip.status, gzip.error["code"]) == (415, "unsupported_content_encoding")
    raw = await call(app, "POST", "/v1/things/a/content", b"\x00" * 10, {"content-type": "audio/wav"})
    assert json.loads(raw.body)["id"] == "a 10"
    optional = await call(app, "POST", "/v1/events", b"")
    assert optional.status == 200


@pytest.mark.parametrize("chunked", [False, True])
async def test_body_over_the_limit(app: Dispatcher, chunked: bool) -> None:
    body: bytes | list[bytes] = [b"x" * 600_000, b"x" * 600_000] if chunked else b"x" * 1_200_000
    answer = await call(app, "POST", "/v1/things", body)
    assert answer.status == 413
    assert answer.error["message"] == "Maximum content size limit (1000000) exceeded (1200000 bytes read)"


async def test_endless_body_is_not_read_to_its_end(app: Dispatcher) -> None:
    chunks = [b"x" * 500_000] * 20
    answer = await call(app, "POST", "/v1/things", chunks)
    assert answer.error["message"] == "Maximum content size limit (1000000) exceeded (2500000 bytes read)"


async def test_large_body_that_asks_first_is_refused_unread(app: Dispatcher) -> None:
    answer = await call(app, "POST", "/v1/things", [], {"content-length": "9000000", "expect": "100-continue"})
    assert answer.status == 413


async def test_refusals_and_failures_of_a_handler(app: Dispatcher) -> None:
    refused = await call(app, "POST", "/v1/things", post(how="refused"))
    assert (refused.status, refused.headers["retry-after"]) == (429, "3")
    assert refused.headers["x-ratelimit-limit-requests"] == "500"
    with structlog.testing.capture_logs() as logs:
        crashed = await call(app, "POST", "/v1/things", post(how="crash"), {"x-client-request-id": "mine"})
    assert (crashed.status, crashed.error["type"]) == (500, "server_error")
    assert b"secret" not in crashed.body
    assert crashed.headers["x-request-id"] in crashed.error["message"]
    assert logs[0]["request_id"] == crashed.headers["x-request-id"]
    assert logs[0]["client_request_id"] == "mine"
    assert logs[0]["exc_info"]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_database_that_is_away_is_worth_trying_again(app: Dispatcher, stream: bool) -> None:
    answer = await call(app, "POST", "/v1/things", post(how="away", stream=stream))
    assert (answer.status, answer.error["code"]) == (503, "server_is_overloaded")
    assert answer.headers["retry-after"] == "1"
    assert b"hunter2" not in answer.body


async def test_stream(app: Dispatcher, things: Things) -> None:
    answer = await call(app, "POST", "/v1/things", post(stream=True))
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert "content-length" not in answer.headers
    event = b'data: {"id":"%b","object":"thing","query":null}\n\n'
    assert answer.writes == [event % b"a" + event % b"b", event % b"c", b"data: [DONE]\n\n"]
    assert things.log == ["closed"]


async def test_typed_stream(app: Dispatcher) -> None:
    answer = await call(app, "POST", "/v1/events", b"")
    assert answer.body == (
        b'event: thing.delta\ndata: {"type":"thing.delta","text":"a"}\n\n'
        b'event: thing.delta\ndata: {"type":"thing.delta","text":"b"}\n\n'
    )
    failed = await call(app, "POST", "/v1/events", post())
    assert failed.writes[-1].startswith(b'event: error\ndata: {"error":{"message":"Gone.",')


async def test_stream_that_fails_before_its_first_event_is_an_http_error(app: Dispatcher, things: Things) -> None:
    answer = await call(app, "POST", "/v1/things", post(stream=True, how="refused first"))
    assert (answer.status, answer.error["code"]) == (404, "thing_not_found")
    assert things.log == ["closed"]


async def test_stream_that_fails_later(app: Dispatcher, things: Things) -> None:
    refused = await call(app, "POST", "/v1/things", post(stream=True, how="refused later"))
    assert refused.status == 200
    assert json.loads(refused.writes[-1].removeprefix(b"data: "))["error"]["code"] == "rate_limit_exceeded"
    assert b"[DONE]" not in refused.body
    with structlog.testing.capture_logs() as logs:
        crashed = await call(app, "POST", "/v1/things", post(stream=True, how="crash later"))
    assert json.loads(crashed.writes[-1].removeprefix(b"data: "))["error"]["type"] == "server_error"
    assert b"secret" not in crashed.body
    assert logs[0]["request_id"] == crashed.headers["x-request-id"]
    assert things.log == ["closed", "closed"]


@pytest.mark.parametrize("how", ["silent", "silent, then refused"])
async def test_silent_stream_is_kept_alive(things: Things, how: str) -> None:
    app = Dispatcher(operations_of(things), Gate(), keepalive_s=0.05)
    asyncio.get_running_loop().call_later(0.4, things.release.set)
    answer = await call(app, "POST", "/v1/things", post(stream=True, how=how))
    assert answer.status == 200
    beats = [write for write in answer.writes if write == b": keep-alive\n\n"]
    assert answer.writes[: len(beats)] == beats
    assert len(beats) > 1
    last = b"data: [DONE]\n\n" if how == "silent" else b'data: {"error":{"message":"No such thing."'
    assert answer.writes[-1].startswith(last)
    assert things.log == ["closed"]


async def test_downloads(app: Dispatcher, things: Things) -> None:
    whole = await call(app, "GET", "/v1/things/whole/content")
    assert (whole.body, whole.headers["content-type"]) == (b"\x00\x01", "audio/wav")
    assert whole.headers["content-disposition"] == (
        "attachment; filename=\"a _n_me_.wav\"; filename*=UTF-8''a%20%22n%C3%A4me%22.wav"
    )
    pieces = await call(app, "GET", "/v1/things/pieces/content")
    assert (pieces.writes, pieces.headers["content-length"]) == ([b"abc", b"def", b""], "6")
    assert things.log == ["closed"]


async def test_cors(things: Things) -> None:
    asked = {"origin": "https://app.example", "access-control-request-method": "POST", "authorization": ""}
    closed = Dispatcher(operations_of(things), Gate())
    refused = await call(closed, "OPTIONS", "/v1/things", None, asked)
    assert refused.status == 405
    assert "access-control-allow-origin" not in refused.headers

    app = Dispatcher(operations_of(things), Gate(), cors_origins=["https://app.example"])
    asked["access-control-request-headers"] = "authorization,content-type"
    answer = await call(app, "OPTIONS", "/v1/things", None, asked)
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert answer.headers["access-control-allow-headers"] == "authorization,content-type"
    for key in ("Bearer good", "Bearer bad"):
        headers = {"origin": "https://app.example", "authorization": key}
        real = await call(app, "POST", "/v1/things", post(), headers)
        assert real.headers["access-control-allow-origin"] == "https://app.example"
    other = await call(app, "POST", "/v1/things", post(), {"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in other.headers


async def test_observed_and_logged(things: Things) -> None:
    seen: list[tuple[str | None, int]] = []
    app = Dispatcher(
        operations_of(things),
        Gate(),
        observe=lambda operation, status, seconds: seen.append((operation and operation.id, status)),
        access_log=True,
    )
    with structlog.testing.capture_logs() as logs:
        await call(app, "POST", "/v1/things", post(), {"x-client-request-id": "mine"})
        await call(app, "POST", "/v1/foo", post())
    assert seen == [("createThing", 200), (None, 404)]
    assert [(line["event"], line["status"]) for line in logs] == [("request", 200), ("request", 404)]
    assert logs[0]["client_request_id"] == "mine"


async def test_cancelled_by_the_server_itself_stays_cancelled(app: Dispatcher, things: Things) -> None:
    task = asyncio.create_task(call(app, "POST", "/v1/things", post(how="waits")))
    await things.began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert things.log == ["cancelled"]


async def test_send_that_raises_means_the_client_left(app: Dispatcher, things: Things) -> None:
    body = post(stream=True, how="endless")
    sent = 0

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        nonlocal sent
        sent += 1
        if sent > 3:
            raise OSError("broken pipe")

    headers = [(b"authorization", b"Bearer good"), (b"content-length", str(len(body)).encode())]
    scope = {"type": "http", "method": "POST", "path": "/v1/things", "query_string": b"", "headers": headers}
    await app(scope, receive, send)
    assert things.log == ["closed"]
