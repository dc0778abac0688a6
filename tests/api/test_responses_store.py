"""Stored responses, chains of them, and conversations, on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import func, select

from inhouse.kit.errors import InvalidRequest, NotFound
from inhouse.storage.database import Database
from inhouse.storage.schema import response_items
from scripted import Platform, ScriptedEngine

TOOL = {
    "type": "function",
    "name": "look_up",
    "parameters": {"type": "object", "properties": {}, "additionalProperties": True},
    "strict": False,
}


@pytest.fixture
async def platform(database: Database) -> AsyncIterator[Platform]:
    platform = Platform(database, ScriptedEngine(["Hello"]))
    yield platform
    await platform.close()


async def count(platform: Platform) -> int:
    return await platform.database.read(
        lambda c: c.execute(select(func.count()).select_from(response_items)).scalar() or 0
    )


async def test_a_response_is_given_back_as_it_was(platform: Platform) -> None:
    platform.engine.script = [["{}"]]
    made = await platform.call(
        "createResponse",
        {
            "input": "Hi",
            "instructions": "Be brief.",
            "metadata": {"a": "b"},
            "tools": [TOOL],
            "text": {"format": {"type": "json_schema", "name": "x", "schema": {"type": "object"}, "strict": False}},
            "temperature": 0.5,
            "user": "u",
            "safety_identifier": "s",
            "prompt_cache_key": "k",
        },
    )
    assert await platform.call("getResponse", response_id=made["id"]) == made
    assert (made["metadata"], made["temperature"], made["instructions"]) == ({"a": "b"}, 0.5, "Be brief.")


async def test_what_is_not_stored_is_not_there(platform: Platform) -> None:
    made = await platform.call("createResponse", {"input": "Hi", "store": False})
    assert made["store"] is False
    with pytest.raises(NotFound):
        await platform.call("getResponse", response_id=made["id"])
    with pytest.raises(InvalidRequest) as refused:
        await platform.call("createResponse", {"input": "Hi", "previous_response_id": made["id"]})
    assert refused.value.code == "previous_response_not_found"
    assert refused.value.param == "previous_response_id"


async def test_a_chain_keeps_everything(platform: Platform) -> None:
    """Texts, calls and outputs of both kinds, whatever happened in between; but not the instructions."""
    engine = platform.engine
    engine.script = [
        ['<tool_call>\n{"name": "look_up", "arguments": {"word": "a"}}\n</tool_call>'],
        ["It is B."],
        ["C"],
    ]
    first = await platform.call(
        "createResponse", {"input": "What is A?", "tools": [TOOL], "instructions": "Only once."}
    )
    call = first["output"][0]
    second = await platform.call(
        "createResponse",
        {
            "previous_response_id": first["id"],
            "input": [{"type": "function_call_output", "call_id": call["call_id"], "output": "B"}],
            "tools": [TOOL],
        },
    )
    third = await platform.call("createResponse", {"previous_response_id": second["id"], "input": "And C?"})
    assert engine.prompts[0].startswith("tools: look_up\nsystem: Only once.")
    assert engine.prompts[-1] == "\n".join(
        ["user: What is A?", 'assistant:  call look_up{"word":"a"}', "tool: B", "assistant: It is B.", "user: And C?"]
    )
    assert third["previous_response_id"] == second["id"]

    listed = await platform.call("listInputItems", response_id=third["id"], query="order=asc")
    assert [item["type"] for item in listed["data"]] == [
        "message",
        "function_call",
        "function_call_output",
        "message",
        "message",
    ]
    assert listed["data"][1] == call
    assert listed["data"][2]["status"] == "completed"
    assert all(item["id"] for item in listed["data"])


async def test_annotations_and_images_are_kept(platform: Platform) -> None:
    said = {
        "type": "output_text",
        "text": "See a.",
        "annotations": [
            {"type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 4, "end_index": 5}
        ],
        "logprobs": [],
    }
    conversation = await platform.call(
        "createConversation",
        {
            "items": [
                {"role": "assistant", "content": [said]},
                {"role": "user", "content": [{"type": "input_image", "image_url": "data:image/png;base64,AAAA"}]},
            ]
        },
    )
    listed = await platform.call("listConversationItems", conversation_id=conversation["id"], query="order=asc")
    assert listed["data"][0]["content"] == [said]
    assert listed["data"][1]["content"][0]["image_url"] == "data:image/png;base64,AAAA"


async def test_a_turn_stores_only_what_is_new(platform: Platform) -> None:
    response = await platform.call("createResponse", {"input": "Turn 0"})
    grown = []
    for number in range(1, 6):
        before = await count(platform)
        response = await platform.call(
            "createResponse", {"input": f"Turn {number}", "previous_response_id": response["id"]}
        )
        grown.append(await count(platform) - before)
    assert grown == [2] * 5
    assert platform.engine.prompts[-1].count("user: Turn") == 6


async def test_a_branch_does_not_see_the_other(platform: Platform) -> None:
    root = await platform.call("createResponse", {"input": "Root"})
    await platform.call("createResponse", {"input": "Left", "previous_response_id": root["id"]})
    await platform.call("createResponse", {"input": "Right", "previous_response_id": root["id"]})
    assert platform.engine.prompts[-1] == "user: Root\nassistant: Hello\nuser: Right"


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_input_items_are_paged(platform: Platform, order: str) -> None:
    response = await platform.call("createResponse", {"input": "Turn 0"})
    for number in range(1, 4):
        response = await platform.call(
            "createResponse",
            {"input": [{"role": "user", "content": f"Turn {number}"}] * 2, "previous_response_id": response["id"]},
        )
    whole = await platform.call("listInputItems", response_id=response["id"], query=f"order={order}&limit=100")
    assert len(whole["data"]) == 1 + 1 + 3 * 2 + 2
    seen: list[dict[str, Any]] = []
    after = ""
    while True:
        page = await platform.call("listInputItems", response_id=response["id"], query=f"order={order}&limit=2{after}")
        seen += page["data"]
        assert page["first_id"] == page["data"][0]["id"]
        if not page["has_more"]:
            break
        after = f"&after={page['last_id']}"
    assert seen == whole["data"]
    other = await platform.call("listInputItems", response_id=response["id"], query="limit=100")
    if order == "asc":
        assert seen == other["data"][::-1]
    with pytest.raises(InvalidRequest):
        await platform.call("listInputItems", response_id=response["id"], query="after=msg_none")


async def test_an_item_can_be_named_by_its_id(platform: Platform) -> None:
    first = await platform.call("createResponse", {"input": "Hi"})
    await platform.call(
        "createResponse",
        {"input": [{"type": "item_reference", "id": first["output"][0]["id"]}, {"role": "user", "content": "Go on"}]},
    )
    assert platform.engine.prompts[-1] == "assistant: Hello\nuser: Go on"
    await platform.call("createResponse", {"input": [{"id": first["output"][0]["id"]}]})
    assert platform.engine.prompts[-1] == "assistant: Hello"


async def test_deleting(platform: Platform) -> None:
    first = await platform.call("createResponse", {"input": "Hi"})
    second = await platform.call("createResponse", {"input": "More", "previous_response_id": first["id"]})
    assert await platform.call("deleteResponse", response_id=first["id"]) == {
        "id": first["id"],
        "object": "response",
        "deleted": True,
    }
    for operation in ("getResponse", "listInputItems", "deleteResponse"):
        with pytest.raises(NotFound):
            await platform.call(operation, response_id=first["id"])
    assert (await platform.call("getResponse", response_id=second["id"]))["output"] == second["output"]
    with pytest.raises(InvalidRequest) as refused:
        await platform.call("createResponse", {"input": "x", "previous_response_id": second["id"]})
    assert refused.value.code == "previous_response_not_found"
    assert await count(platform) == 2


async def test_another_project_sees_nothing(platform: Platform) -> None:
    response = await platform.call("createResponse", {"input": "Hi"})
    conversation = await platform.call("createConversation", {"items": [{"role": "user", "content": "x"}]})
    item = (await platform.call("listConversationItems", conversation_id=conversation["id"]))["data"][0]

    async def refusal(operation: str, body: dict[str, Any] | None = None, **path: str) -> tuple[type, str | None]:
        with pytest.raises((NotFound, InvalidRequest)) as refused:
            await platform.call(operation, body, project="proj_two", **path)
        return refused.type, refused.value.code

    for operation in ("getResponse", "deleteResponse", "listInputItems", "cancelResponse"):
        assert await refusal(operation, response_id=response["id"]) == await refusal(operation, response_id="resp_no")
    for operation, body in (
        ("getConversation", None),
        ("updateConversation", {"metadata": {}}),
        ("deleteConversation", None),
        ("listConversationItems", None),
        ("createConversationItems", {"items": [{"role": "user", "content": "x"}]}),
    ):
        mine = await refusal(operation, body, conversation_id=conversation["id"])
        assert mine == await refusal(operation, body, conversation_id="conv_no")
    for operation in ("getConversationItem", "deleteConversationItem"):
        assert (await refusal(operation, conversation_id=conversation["id"], item_id=item["id"]))[0] is NotFound
    for body in (
        {"input": "x", "previous_response_id": response["id"]},
        {"input": "x", "conversation": conversation["id"]},
        {"input": [{"type": "item_reference", "id": item["id"]}]},
    ):
        await refusal("createResponse", body)


async def test_a_conversation_goes_on(platform: Platform) -> None:
    conversation = await platform.call(
        "createConversation", {"items": [{"role": "user", "content": "I am Bob."}], "metadata": {"topic": "names"}}
    )
    assert conversation["metadata"] == {"topic": "names"}
    first = await platform.call("createResponse", {"input": "Who am I?", "conversation": conversation["id"]})
    assert first["conversation"] == {"id": conversation["id"]}
    stream = await platform.call(
        "createResponse", {"input": "Really?", "conversation": {"id": conversation["id"]}, "stream": True}
    )
    assert platform.engine.prompts[-1] == "user: I am Bob.\nuser: Who am I?\nassistant: Hello\nuser: Really?"
    await platform.call("createResponse", {"input": "Unseen", "conversation": conversation["id"], "store": False})
    listed = await platform.call("listConversationItems", conversation_id=conversation["id"], query="order=asc")
    assert [item["role"] for item in listed["data"]] == ["user", "user", "assistant"] + ["user", "assistant"] * 2
    assert listed["data"][4] == stream[-1]["response"]["output"][0]

    # A response of a conversation can be gone on from, too.
    await platform.call("createResponse", {"input": "Branch", "previous_response_id": first["id"]})
    assert platform.engine.prompts[-1] == "user: I am Bob.\nuser: Who am I?\nassistant: Hello\nuser: Branch"


async def test_the_items_of_a_conversation(platform: Platform) -> None:
    conversation = (await platform.call("createConversation", {}))["id"]
    added = await platform.call(
        "createConversationItems",
        {"items": [{"role": "user", "content": str(number)} for number in range(5)]},
        conversation_id=conversation,
    )
    ids = [item["id"] for item in added["data"]]
    assert added["first_id"] == ids[0]
    page = await platform.call("listConversationItems", conversation_id=conversation, query="limit=2")
    assert ([item["id"] for item in page["data"]], page["has_more"]) == (ids[:2:-1], True)
    page = await platform.call(
        "listConversationItems", conversation_id=conversation, query=f"order=asc&after={ids[3]}&include[]=x"
    )
    assert ([item["id"] for item in page["data"]], page["has_more"]) == ([ids[4]], False)
    one = await platform.call("getConversationItem", conversation_id=conversation, item_id=ids[1])
    assert one["content"] == [{"type": "input_text", "text": "1"}]
    told = await platform.call("deleteConversationItem", conversation_id=conversation, item_id=ids[1])
    assert told["object"] == "conversation"
    for operation in ("getConversationItem", "deleteConversationItem"):
        with pytest.raises(NotFound):
            await platform.call(operation, conversation_id=conversation, item_id=ids[1])
    with pytest.raises(InvalidRequest):
        await platform.call(
            "createConversationItems",
            {"items": [{"role": "user", "content": "x"}] * 21},
            conversation_id=conversation,
        )


async def test_no_two_items_of_a_conversation_have_one_id(platform: Platform) -> None:
    """Or pages after it would come again and again, and deleting one would delete both."""
    item = {"type": "message", "id": "msg_a", "role": "assistant", "content": [{"type": "output_text", "text": "x"}]}
    conversation = (await platform.call("createConversation", {"items": [item]}))["id"]
    for operation, path in (("createConversationItems", {"conversation_id": conversation}), ("createConversation", {})):
        with pytest.raises(InvalidRequest) as refused:
            await platform.call(operation, {"items": [item] * 2 if not path else [item]}, **path)
        assert (refused.value.param, refused.value.code) == ("items", None)
        assert refused.value.message.startswith("Duplicate item found with id msg_a. Remove duplicate items")
    with pytest.raises(InvalidRequest, match="Duplicate item found with id msg_a"):
        await platform.call("createResponse", {"input": [item], "conversation": conversation})
    first = await platform.call("createResponse", {"input": "Hi"})
    again = {"input": [*first["output"], {"role": "user", "content": "x"}]}
    await platform.call("createResponse", again)
    with pytest.raises(InvalidRequest, match="Duplicate item found"):
        await platform.call("createResponse", {**again, "previous_response_id": first["id"]})

    await platform.call("deleteConversationItem", conversation_id=conversation, item_id="msg_a")
    added = await platform.call("createConversationItems", {"items": [item]}, conversation_id=conversation)
    assert added["first_id"] == "msg_a"


async def test_counting_reads_items_that_are_named(platform: Platform) -> None:
    first = await platform.call("createResponse", {"input": "Hi"})
    named = {"model": "gpt-4.1", "input": [{"type": "item_reference", "id": first["output"][0]["id"]}]}
    told = {"model": "gpt-4.1", "input": first["output"]}
    assert await platform.call("Getinputtokencounts", named) == await platform.call("Getinputtokencounts", told)
    with pytest.raises(NotFound):
        await platform.call("Getinputtokencounts", {"model": "gpt-4.1", "input": [{"id": "msg_none"}]})


async def test_a_deleted_conversation_leaves_its_responses(platform: Platform) -> None:
    conversation = (await platform.call("createConversation", {"items": [{"role": "user", "content": "x"}]}))["id"]
    response = await platform.call("createResponse", {"input": "Hi", "conversation": conversation})
    assert await platform.call("deleteConversation", conversation_id=conversation) == {
        "id": conversation,
        "object": "conversation.deleted",
        "deleted": True,
    }
    with pytest.raises(NotFound):
        await platform.call("createResponse", {"input": "Hi", "conversation": conversation})
    assert (await platform.call("getResponse", response_id=response["id"]))["output"] == response["output"]
    assert await count(platform) == 2


async def test_metadata(platform: Platform) -> None:
    conversation = await platform.call("createConversation", {"metadata": {"a": "1"}})
    updated = await platform.call("updateConversation", {"metadata": {"b": "2"}}, conversation_id=conversation["id"])
    assert updated == {**conversation, "metadata": {"b": "2"}}
    for wrong in ({str(number): "x" for number in range(17)}, {"k" * 65: "x"}, {"k": "x" * 513}):
        with pytest.raises(InvalidRequest):
            await platform.call("updateConversation", {"metadata": wrong}, conversation_id=conversation["id"])
        with pytest.raises(InvalidRequest):
            await platform.call("createResponse", {"input": "Hi", "metadata": wrong})


async def test_a_previous_response_and_a_conversation_exclude_each_other(platform: Platform) -> None:
    response = await platform.call("createResponse", {"input": "Hi"})
    conversation = await platform.call("createConversation", {})
    with pytest.raises(InvalidRequest) as refused:
        await platform.call(
            "createResponse",
            {"input": "x", "previous_response_id": response["id"], "conversation": conversation["id"]},
        )
    assert refused.value.code == "mutually_exclusive_parameters"
