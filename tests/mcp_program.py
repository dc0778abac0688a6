"""A server of the SDK for tests, as a process of its own: ``python server.py streamable|sse``. Prints its port.

It counts what is asked of it, and tells so at ``/seen``: the tools called, lists, sessions, headers.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import Any

import uvicorn
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

server = MCPServer("numbers")
seen: dict[str, Any] = {"calls": [], "methods": [], "authorization": [], "cancelled": 0, "open": 0}


@server.tool(description="Add two whole numbers.", annotations=ToolAnnotations(read_only_hint=True))
def add(a: int, b: int) -> int:
    seen["calls"].append("add")
    return a + b


@server.tool(description="Remember a word.")
def remember(word: str) -> str:
    seen["calls"].append("remember")
    return f"remembered {word}"


@server.tool(description="Always fails.")
def fail() -> str:
    seen["calls"].append("fail")
    raise ToolError("the pump is broken")


@server.tool(description="Takes its time.")
async def wait(seconds: float) -> str:
    seen["calls"].append("wait")
    seen["open"] += 1
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        seen["cancelled"] += 1
        raise
    finally:
        seen["open"] -= 1
    return "waited"


@server.tool(description="Says much.")
def flood(characters: int) -> str:
    seen["calls"].append("flood")
    return "x" * characters


class Watch:
    """Notes requests, and asks for a token where one is wanted."""

    def __init__(self, app: Any, token: str | None) -> None:
        self.app = app
        self.token = token

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        if request.url.path == "/seen":
            await JSONResponse(seen)(scope, receive, send)
            return
        seen["authorization"].append(request.headers.get("authorization"))
        if self.token is not None and request.headers.get("authorization") != f"Bearer {self.token}":
            await Response("no", 401)(scope, receive, send)
            return
        if request.url.path == "/broken":
            await Response("broken", 500)(scope, receive, send)
            return
        if request.url.path == "/away":
            await Response(status_code=307, headers={"location": "http://127.0.0.1:1/mcp"})(scope, receive, send)
            return
        if request.url.path == "/nonsense":
            await Response("<html>", 200, media_type="text/html")(scope, receive, send)
            return
        if request.url.path == "/silent":
            await asyncio.sleep(60)
            return
        if scope["method"] == "POST":
            body = await request.body()
            for method in ("tools/list", "tools/call", "initialize", "server/discover"):
                if f'"{method}"'.encode() in body:
                    seen["methods"].append(method)

            async def again() -> dict[str, Any]:
                nonlocal body
                if body is not None:
                    told, body = body, None  # type: ignore[assignment]
                    return {"type": "http.request", "body": told, "more_body": False}
                return dict(await receive())

            await self.app(scope, again, send)
            return
        await self.app(scope, receive, send)


def main(transport: str, token: str | None) -> None:
    app = server.streamable_http_app() if transport == "streamable" else server.sse_app()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(Watch(app, token), log_level="warning", timeout_graceful_shutdown=1)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)
