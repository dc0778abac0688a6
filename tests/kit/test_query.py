from __future__ import annotations

import random
from contextlib import suppress
from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta, Struct

from inhouse.kit.errors import InvalidRequest
from inhouse.kit.validation import convert, parse_query

STRING = "but got a string instead."


class Query(Struct, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    order: Literal["desc", "asc"] = "desc"
    after: str | None = None
    include: list[str] | None = None
    metadata: dict[str, str] | None = None
    share: Annotated[float, Meta(le=1)] = 0.5
    active: bool | None = None


@pytest.mark.parametrize(
    ("query", "values"),
    [
        (b"", {}),
        (b"a=1&b=x%20y+z", {"a": "1", "b": "x y z"}),
        (b"a=", {"a": ""}),
        (b"a", {"a": ""}),
        (b"a=1&a=2&a=3", {"a": ["1", "2", "3"]}),
        (b"a[]=1", {"a": ["1"]}),
        (b"a%5B%5D=1&a[]=2", {"a": ["1", "2"]}),
        (b"a[k]=1&a[l]=2", {"a": {"k": "1", "l": "2"}}),
        (b"a[k]=1&a=2", {"a": "2"}),
        (b"a=2&a[k]=1", {"a": {"k": "1"}}),
        (b"[]=1&[k]=2&a[=3&a]=4", {"[]": "1", "[k]": "2", "a[": "3", "a]": "4"}),
    ],
)
def test_parse_query(query: bytes, values: dict[str, Any]) -> None:
    assert parse_query(query) == values


@pytest.mark.parametrize("query", [b"a=%ff", b"a=\xff", b"&".join(b"a=1" for _ in range(2000))])
def test_queries_that_cannot_be_read(query: bytes) -> None:
    with pytest.raises(InvalidRequest):
        parse_query(query)


def test_convert() -> None:
    values = convert(parse_query(b"limit=5&order=asc&include=a&active=true&share=1&metadata[k]=v&more=1"), Query)
    assert values == Query(limit=5, order="asc", include=["a"], active=True, share=1.0, metadata={"k": "v"})


@pytest.mark.parametrize(
    ("query", "param", "code", "message"),
    [
        (
            b"limit=x",
            "limit",
            "invalid_type",
            "Invalid type for 'limit': expected an integer, but got a string instead.",
        ),
        (
            b"limit=",
            "limit",
            "invalid_type",
            "Invalid type for 'limit': expected an integer, but got a string instead.",
        ),
        (
            b"limit=1&limit=2",
            "limit",
            "invalid_type",
            "Invalid type for 'limit': expected an integer, but got an array instead.",
        ),
        (
            b"limit=101",
            "limit",
            "integer_above_max_value",
            "Invalid 'limit': integer above maximum value. Expected a value <= 100, but got 101 instead.",
        ),
        (
            b"share=1.5",
            "share",
            "decimal_above_max_value",
            "Invalid 'share': decimal above maximum value. Expected a value <= 1, but got 1.5 instead.",
        ),
        (b"order=up", "order", "invalid_value", "Invalid value: 'up'. Supported values are: 'desc' and 'asc'."),
        (
            b"active=maybe",
            "active",
            "invalid_type",
            "Invalid type for 'active': expected a boolean, but got a string instead.",
        ),
        (b"after=%00", "after", None, "Invalid 'after': string contains U+0000, which is not allowed."),
    ],
)
def test_refused_queries(query: bytes, param: str, code: str | None, message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        convert(parse_query(query), Query)
    assert (refused.value.param, refused.value.code, refused.value.message) == (param, code, message)


def test_any_query_is_a_value_or_a_refusal() -> None:
    dice = random.Random(2)
    parts = [
        b"limit",
        b"order",
        b"include",
        b"metadata",
        b"[",
        b"]",
        b"=",
        b"&",
        b"%00",
        b"%ff",
        b"%5B",
        b"1",
        b"x",
        b"+",
    ]
    for _ in range(5000):
        query = b"".join(dice.choice(parts) for _ in range(dice.randrange(12)))
        with suppress(InvalidRequest):
            convert(parse_query(query), Query)
