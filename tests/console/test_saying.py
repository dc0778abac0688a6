from __future__ import annotations

import pytest

from inhouse.console.dashboard.saying import Said, said, said_by

CALL = {"name": "get_weather", "arguments": '{"city": "Paris"}'}


@pytest.mark.parametrize(
    ("item", "shown"),
    [
        ({"role": "user", "content": "Hello"}, Said("User", "Hello")),
        ({"role": "assistant", "content": None, "refusal": "No."}, Said("Assistant", "No.")),
        (
            {"role": "assistant", "content": None, "tool_calls": [{"type": "function", "function": CALL}]},
            Said("Assistant", "", ('get_weather({"city": "Paris"})',)),
        ),
        ({"role": "tool", "content": "18 degrees"}, Said("Function output", "18 degrees")),
        (
            {"type": "message", "role": "user", "content": [{"type": "input_image", "file_id": "file-1"}]},
            Said("User", "[image: file-1]"),
        ),
        (
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "Noon", "annotations": [{"filename": "handbook.md"}] * 2}],
            },
            Said("Assistant", "Noon", (), (("Cited", "handbook.md"),)),
        ),
        ({"type": "function_call", **CALL}, Said("Function call", "", ('get_weather({"city": "Paris"})',))),
        ({"type": "function_call_output", "output": "18 degrees"}, Said("Function output", "18 degrees")),
        (
            {
                "type": "file_search_call",
                "queries": ["coffee"],
                "results": [{"filename": "a.md", "score": 0.5, "text": "Friday"}],
            },
            Said("File search", "“coffee”", (), (("a.md, 0.50", "Friday"),)),
        ),
        ({"type": "file_search_call", "queries": ["coffee"], "results": None}, Said("File search", "“coffee”")),
        (
            {"type": "mcp_call", "server_label": "numbers", "name": "add", "arguments": "{}", "output": "42"},
            Said("MCP call, numbers", "42", ("add({})",)),
        ),
        ({"type": "mcp_approval_response", "approve": False}, Said("Approval", "Refused")),
    ],
)
def test_an_item_is_said_in_words(item: dict[str, object], shown: Said) -> None:
    assert said(item) == shown


def test_what_is_not_known_is_shown_as_it_is() -> None:
    found = said({"type": "new_call", "secret": "x" * 10_000})
    assert (found.who, found.text) == ("New call", "")
    assert 4000 < len(found.folded[0][1]) < 4100


def test_an_answer_in_one_text() -> None:
    message = {"role": "assistant", "content": None, "tool_calls": [{"type": "function", "function": CALL}]}
    assert said_by({"choices": [{"message": message}]}) == 'get_weather({"city": "Paris"})'
    assert said_by({"choices": [{"text": "once"}]}) == "once"
    output = [{"type": "function_call", **CALL}, {"type": "message", "role": "assistant", "content": "So"}]
    assert said_by({"object": "response", "output": output, "error": None}) == 'get_weather({"city": "Paris"})\nSo'
    assert said_by({"object": "response", "output": [], "error": {"message": "It stopped."}}) == "It stopped."
    assert said_by({"code": "batch_expired", "message": "Too late."}) == "Too late."
