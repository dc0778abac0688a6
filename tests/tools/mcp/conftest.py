from __future__ import annotations

from tests.mcp_servers import each_server, serve_guarded, serve_old_sse, serve_streamable

__all__ = ["each_server", "serve_guarded", "serve_old_sse", "serve_streamable"]
