from __future__ import annotations

import msgspec
import pytest

from inhouse.engines.upstream import Target, UpstreamError, UpstreamSpec


def test_a_spec_survives_json() -> None:
    spec = UpstreamSpec(targets=[Target("https://a.example/v1", "m", "KEY"), Target("http://b:8000")], retries=1)
    encoded = msgspec.json.encode(spec)
    assert msgspec.json.decode(encoded, type=UpstreamSpec) == spec
    assert b"connect_timeout" not in encoded


@pytest.mark.parametrize(
    "url",
    [
        "example.com/v1",
        "ftp://example.com",
        "http://",
        "http://user:secret@example.com/v1",
        "http://example.com:99999/v1",
        "http://example.com/v1?key=1",
        "http://example.com/v1\r\nx: y",
        "http://exa mple.com/v1",
    ],
)
def test_urls_that_cannot_be_used(url: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        Target(url)
    assert "secret" not in str(caught.value)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"targets": [{"url": url}]}, UpstreamSpec)


@pytest.mark.parametrize(
    "given",
    [
        {"targets": []},
        {"connect_timeout": 0},
        {"max_connections": 0},
        {"retries": -1},
        {"headers": {"authorization": "a\r\nb"}},
        {"headers": {"host": "x"}},
    ],
)
def test_values_that_cannot_be_used(given: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"targets": [{"url": "http://a"}], **given}, UpstreamSpec)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "2", "retry-after-ms": "500"}, 0.5),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert UpstreamError("http://a", 429, b"", headers).retry_after == seconds
