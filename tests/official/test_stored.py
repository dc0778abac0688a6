"""Stored chat completions: kept only when asked, and only for the project that made them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import openai
import pytest
from openai import AuthenticationError, BadRequestError, NotFoundError, OpenAI

from .running import CHAT_PATH, FAST, Server, until, user

SNAPSHOT = "gpt-4.1-nano-2025-04-14"


def store(client: OpenAI, **options: Any) -> Any:
    return client.chat.completions.create(
        **{
            "model": FAST,
            "messages": user("Hi"),
            "max_completion_tokens": 2,
            "temperature": 0,
            "store": True,
            **options,
        }
    )


# Every way to reach one completion.
WAYS: list[Callable[[OpenAI, str], Any]] = [
    lambda client, id: client.chat.completions.retrieve(id),
    lambda client, id: client.chat.completions.update(id, metadata={"mine": "yes"}),
    lambda client, id: client.chat.completions.messages.list(id),
    lambda client, id: client.chat.completions.delete(id),
]


def test_without_a_key_nothing_is_told(server: Server, client: OpenAI) -> None:
    id = store(client).id
    for method, path in [
        ("GET", CHAT_PATH),
        ("GET", f"{CHAT_PATH}/{id}"),
        ("POST", f"{CHAT_PATH}/{id}"),
        ("DELETE", f"{CHAT_PATH}/{id}"),
        ("GET", f"{CHAT_PATH}/{id}/messages"),
    ]:
        answer = server.http(method, path, headers={"authorization": None})
        assert answer.status == 401
        assert answer.error["message"] == "Missing bearer or basic authentication in header"
    client.chat.completions.retrieve(id)


@pytest.mark.parametrize("way", WAYS)
def test_another_projects_completion_does_not_exist(
    client: OpenAI, stranger: OpenAI, way: Callable[[OpenAI, str], Any]
) -> None:
    id = store(client, metadata={"mine": "no"}).id
    with pytest.raises(NotFoundError) as theirs:
        way(stranger, id)
    with pytest.raises(NotFoundError) as nobodys:
        way(stranger, "chatcmpl-" + "x" * 29)
    there, absent = dict(theirs.value.body), dict(nobodys.value.body)
    assert there.pop("message") == f"No such chat completion: {id}"
    assert absent.pop("message") == "No such chat completion: chatcmpl-" + "x" * 29
    assert there == absent == {"type": "invalid_request_error", "param": "completion_id", "code": None}
    assert client.chat.completions.retrieve(id).metadata == {"mine": "no"}


def test_another_project_sees_none_in_its_list(client: OpenAI, stranger: OpenAI) -> None:
    id = store(client, metadata={"tenant": "ours"}).id
    assert [each.id for each in client.chat.completions.list(metadata={"tenant": "ours"})] == [id]
    assert list(stranger.chat.completions.list(metadata={"tenant": "ours"})) == []
    with pytest.raises(NotFoundError) as refused:
        stranger.chat.completions.list(after=id)
    assert refused.value.param == "after"


def test_a_completion_is_kept_as_it_was_given(client: OpenAI) -> None:
    metadata = {"case": "whole", "é": "ü" * 512}
    given = store(client, metadata=metadata, seed=7, temperature=0.5, top_p=0.9, user="u-1")
    assert given.metadata == metadata
    kept = client.chat.completions.retrieve(given.id)
    assert kept.model_dump(include=set(given.model_dump())) == given.model_dump()
    told = kept.model_dump()
    assert told["request_id"] == given._request_id
    assert (told["seed"], told["temperature"], told["top_p"], told["input_user"]) == (7, 0.5, 0.9, "u-1")


def test_a_stream_is_kept_too(client: OpenAI) -> None:
    chunks = list(store(client, stream=True, metadata={"case": "stream"}))
    kept = client.chat.completions.retrieve(chunks[0].id)
    assert kept.choices[0].message.content == "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert kept.created == chunks[0].created
    assert kept.usage is not None


def test_what_is_not_stored_is_not_there(client: OpenAI) -> None:
    for options in ({"store": False}, {"store": openai.omit}):
        with pytest.raises(NotFoundError):
            client.chat.completions.retrieve(store(client, **options).id)


def test_lists_are_filtered_and_paged(client: OpenAI) -> None:
    ids = [store(client, metadata={"list": "a", "number": str(number)}).id for number in range(5)]
    mine = {"list": "a"}
    assert [each.id for each in client.chat.completions.list(metadata=mine)] == ids
    assert [each.id for each in client.chat.completions.list(metadata=mine, order="desc")] == ids[::-1]
    assert [each.id for each in client.chat.completions.list(metadata={**mine, "number": "3"})] == ids[3:4]
    assert list(client.chat.completions.list(metadata={**mine, "number": "9"})) == []
    for model, found in ((SNAPSHOT, ids), (FAST, ids), ("gpt-4.1", []), ("nope", [])):
        assert [each.id for each in client.chat.completions.list(metadata=mine, model=model)] == found
    page = client.chat.completions.list(metadata=mine, limit=2)
    assert ([each.id for each in page.data], page.has_more) == (ids[:2], True)
    assert (page.first_id, page.last_id) == (ids[0], ids[1])  # type: ignore[attr-defined]
    rest = client.chat.completions.list(metadata=mine, limit=3, after=ids[1])
    assert ([each.id for each in rest.data], rest.has_more) == (ids[2:], False)
    assert [each.id for each in client.chat.completions.list(metadata=mine, limit=2)] == ids  # the SDK turns the pages


@pytest.mark.parametrize(
    ("query", "param", "code"),
    [
        ({"limit": 0}, "limit", "integer_below_min_value"),
        ({"limit": 101}, "limit", "integer_above_max_value"),
        ({"limit": "many"}, "limit", "invalid_type"),
        ({"order": "up"}, "order", "invalid_value"),
        ({"extra_query": {"colour": "red"}}, "colour", "unknown_parameter"),
    ],
)
def test_lists_that_are_refused(client: OpenAI, query: Any, param: str, code: str) -> None:
    with pytest.raises(BadRequestError) as refused:
        client.chat.completions.list(**query)
    assert (refused.value.param, refused.value.code) == (param, code)


def test_updating_replaces_the_metadata_and_nothing_else(client: OpenAI) -> None:
    given = store(client, metadata={"old": "1", "same": "2"})
    updated = client.chat.completions.update(given.id, metadata={"same": "3"})
    assert updated.metadata == {"same": "3"}
    assert updated.choices == given.choices
    assert client.chat.completions.retrieve(given.id).metadata == {"same": "3"}
    assert client.chat.completions.update(given.id, metadata=None).metadata == {}


def test_deleting_is_for_good(client: OpenAI) -> None:
    id = store(client).id
    gone = client.chat.completions.delete(id)
    assert (gone.id, gone.deleted, gone.object) == (id, True, "chat.completion.deleted")
    for way in WAYS:
        with pytest.raises(NotFoundError):
            way(client, id)


def test_the_messages_it_was_asked_with(client: OpenAI) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    asked: list[Any] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Hi"}], "name": "Ann"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "42"},
    ]
    id = store(client, messages=asked).id
    told = client.chat.completions.messages.list(id)
    assert [message.role for message in told.data] == ["system", "user", "assistant", "tool"]
    system, person, assistant, tool = told.data
    assert system.content == "Be brief."
    assert person.name == "Ann"
    assert [part.model_dump(exclude_unset=True) for part in person.content_parts or []] == asked[1]["content"]
    assert [each.model_dump() for each in assistant.tool_calls or []] == [call]
    assert (tool.content, tool.model_dump()["tool_call_id"]) == ("42", "call_1")
    assert len({message.id for message in told.data}) == 4
    newest = client.chat.completions.messages.list(id, order="desc", limit=1)
    assert ([message.role for message in newest.data], newest.has_more) == (["tool"], True)
    assert [message.role for message in client.chat.completions.messages.list(id, limit=1)] == [
        "system",
        "user",
        "assistant",
        "tool",
    ]


@pytest.mark.parametrize(
    ("options", "param", "code"),
    [
        ({"metadata": {"a": "b"}, "store": False}, "metadata", None),
        ({"metadata": {"a": 1}}, "metadata.a", "invalid_type"),
        ({"metadata": {"a": "b" * 513}}, "metadata.a", "string_above_max_length"),
        ({"metadata": {"a" * 65: "b"}}, "metadata." + "a" * 65, "property_name_above_max_length"),
        ({"metadata": {str(n): "b" for n in range(17)}}, "metadata", "object_above_max_properties"),
        ({"metadata": "a=b"}, "metadata", "invalid_type"),
        ({"store": "yes"}, "store", "invalid_type"),
    ],
)
def test_metadata_that_is_refused(client: OpenAI, options: Any, param: str, code: str | None) -> None:
    with pytest.raises(BadRequestError) as refused:
        store(client, **options)
    assert (refused.value.param, refused.value.code) == (param, code)


def test_a_revoked_key_ends_at_once(server: Server) -> None:
    secret = server.cli("keys", "create", "short-lived").strip().splitlines()[-1]
    with server.client(secret) as client:
        client.models.list()
        listed = json.loads(server.cli("keys", "list", "--json"))
        id = next(key["id"] for key in listed if key["name"] == "short-lived")
        server.cli("keys", "revoke", id)

        def refused() -> bool:
            try:
                client.models.list()
            except AuthenticationError as error:
                return error.code == "invalid_api_key"
            return False

        until(refused, "a revoked key is still taken", 5)
