"""Cross-origin requests: which pages in browsers may call the API."""

from __future__ import annotations

from collections.abc import Collection

from inhouse.api.operation import Headers

_EXPOSED = b"x-request-id, openai-processing-ms, retry-after, retry-after-ms, x-inhouse-read, x-inhouse-reading"


def cors_headers(headers: Headers, allowed: Collection[str], *, preflight: bool = False) -> list[tuple[bytes, bytes]]:
    """Response headers that let the page of the request's origin read the answer; none where it is not allowed.

    Args:
        allowed: origins such as ``https://app.example``, or ``*`` for any.
        preflight: whether this answers the browser's question before the request itself.
    """
    origin = headers.get("origin")
    if origin is None or not (origin in allowed or "*" in allowed):
        return []
    answer = [
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (b"access-control-expose-headers", _EXPOSED),
        (b"vary", b"origin"),
    ]
    if preflight:
        asked = headers.get("access-control-request-headers", "")
        answer += [
            (b"access-control-allow-methods", b"GET, POST, PUT, PATCH, DELETE"),
            (b"access-control-allow-headers", asked.encode("latin-1")),
            (b"access-control-max-age", b"600"),
        ]
    return answer
