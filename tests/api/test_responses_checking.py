"""Items that a request must not have, in the official words."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from inhouse.api.responses import wire
from inhouse.api.responses.checking import check_items
from inhouse.api.responses.reading import check
from inhouse.api.responses.wire import CreateResponse
from inhouse.calls import Call
from inhouse.catalog.cards import load_cards
from inhouse.kit.errors import InvalidRequest
from inhouse.kit.validation import decode

USER = {"role": "user", "content": "Hi"}
SAID = {"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "x"}]}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}"}
CUSTOM = {"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_1", "name": "f", "input": "x"}
RESULT = {"type": "function_call_output", "id": "fc_2", "call_id": "call_1", "output": "x"}
REASONING = {"type": "reasoning", "id": "rs_1", "summary": []}
CHARACTERS = (
    "Expected an ID that contains letters, numbers, underscores, or dashes, but this value contained additional "
    "characters."
)
LETTERS = "string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."


def items(*given: dict[str, Any]) -> list[wire.InputItem]:
    body = decode(msgspec.json.encode({"input": given}), CreateResponse)
    assert isinstance(body.input, list)
    return body.input


def parts(role: str, *kinds: str) -> dict[str, Any]:
    said = {
        "input_text": {"text": "x"},
        "output_text": {"text": "x"},
        "refusal": {"refusal": "x"},
        "input_image": {"image_url": "https://example.com/a.png"},
        "input_file": {"file_id": "file-1"},
    }
    return {"role": role, "content": [{"type": kind, **said[kind]} for kind in kinds]}


@pytest.mark.parametrize(
    "given",
    [
        [USER, SAID, CALL, RESULT, CUSTOM, REASONING],
        [{**SAID, "id": None}, {**SAID, "id": None}],
        [parts("user", "input_text", "input_image", "input_file"), parts("assistant", "output_text", "refusal")],
        [parts("system", "input_text"), parts("developer", "input_text")],
        [{**RESULT, "id": "fco_1"}, {"type": "item_reference", "id": "anything"}],
    ],
)
def test_what_is_taken(given: list[dict[str, Any]]) -> None:
    check_items(items(*given), items({**USER, "id": "msg_9"}, USER))


@pytest.mark.parametrize(
    ("given", "param", "code", "message"),
    [
        (
            [USER, parts("assistant", "output_text", "input_text")],
            "input[1].content[1]",
            "invalid_value",
            "Invalid value: 'input_text'. Supported values are: 'output_text' and 'refusal'.",
        ),
        (
            [parts("user", "output_text")],
            "input[0].content[0]",
            "invalid_value",
            "Invalid value: 'output_text'. Supported values are: 'input_text', 'input_image', and 'input_file'.",
        ),
        (
            [USER, {**SAID, "id": "rs_1"}],
            "input[1].id",
            "invalid_value",
            "Invalid 'input[1].id': 'rs_1'. Expected an ID that begins with 'msg'.",
        ),
        (
            [{**CALL, "id": "call_1"}],
            "input[0].id",
            "invalid_value",
            "Invalid 'input[0].id': 'call_1'. Expected an ID that begins with 'fc'.",
        ),
        (
            [{**CUSTOM, "id": "fc_1"}],
            "input[0].id",
            "invalid_value",
            "Invalid 'input[0].id': 'fc_1'. Expected an ID that begins with 'ctc'.",
        ),
        (
            [{**REASONING, "id": "item_1"}],
            "input[0].id",
            "invalid_value",
            "Invalid 'input[0].id': 'item_1'. Expected an ID that begins with 'rs'.",
        ),
        ([{**CALL, "id": ""}], "input[0].id", "invalid_value", f"Invalid 'input[0].id': ''. {CHARACTERS}"),
        ([{**CALL, "id": "fc_ü"}], "input[0].id", "invalid_value", f"Invalid 'input[0].id': 'fc_ü'. {CHARACTERS}"),
        ([{**CALL, "name": "a.b"}], "input[0].name", "invalid_value", f"Invalid 'input[0].name': {LETTERS}"),
        ([{**CUSTOM, "name": "a b"}], "input[0].name", "invalid_value", f"Invalid 'input[0].name': {LETTERS}"),
        (
            [{**CALL, "name": ""}],
            "input[0].name",
            "empty_string",
            "Invalid 'input[0].name': empty string. Expected a string with minimum length 1, but got an empty string "
            "instead.",
        ),
        (
            [SAID, USER, SAID],
            "input",
            None,
            "Duplicate item found with id msg_1. Remove duplicate items from your input and try again.",
        ),
        (
            [{"type": "item_reference", "id": "msg_9"}],
            "input",
            None,
            "Duplicate item found with id msg_9. Remove duplicate items from your input and try again.",
        ),
    ],
)
def test_what_is_refused(given: list[dict[str, Any]], param: str, code: str | None, message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_items(items(*given), items({**USER, "id": "msg_9"}))
    assert (refused.value.param, refused.value.code, refused.value.message) == (param, code, message)


@pytest.mark.parametrize(("name", "value"), [("temperature", 0.5), ("top_p", 1.0)])
def test_models_that_reason_are_not_told_how_to_sample(name: str, value: float) -> None:
    body = decode(msgspec.json.encode({"input": "Hi", name: value}), CreateResponse)
    cards = load_cards()
    check(cast(Call, SimpleNamespace(card=cards.get("gpt-4.1"))), body)
    with pytest.raises(InvalidRequest) as refused:
        check(cast(Call, SimpleNamespace(card=cards.get("o3-mini"))), body)
    assert (refused.value.param, refused.value.code) == (name, None)
    assert refused.value.message == f"Unsupported parameter: '{name}' is not supported with this model."
