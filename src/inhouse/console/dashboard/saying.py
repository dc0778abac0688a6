"""What items, messages and answers say, as people read it: who, in words, and what would be too long to show first."""

from __future__ import annotations

import json
from typing import Any

import msgspec

_MOST_JSON = 4000
"""Characters of an item of a kind that is not known here, or of what a tool gave back."""
_CALLS = {
    "function_call": "Function call",
    "function_call_output": "Function output",
    "custom_tool_call": "Tool call",
    "custom_tool_call_output": "Tool output",
    "file_search_call": "File search",
    "web_search_call": "Web search",
    "mcp_call": "MCP call",
    "mcp_list_tools": "MCP tools",
    "mcp_approval_request": "Asks for approval",
    "mcp_approval_response": "Approval",
    "reasoning": "Reasoning",
    "compaction": "Compaction",
}


class Said(msgspec.Struct, frozen=True):
    """One item as it is shown."""

    who: str
    text: str
    calls: tuple[str, ...] = ()
    """Calls of functions, each as code."""
    folded: tuple[tuple[str, str], ...] = ()
    """Headings and texts that open when somebody wants to see them."""


def said(item: dict[str, Any]) -> Said:
    """An item of the Responses API, or a message of Chat Completions."""
    kind = str(item.get("type") or "message")
    if kind == "message":
        return _message(item)
    who = _CALLS.get(kind, kind.replace("_", " ").capitalize())
    match kind:
        case "function_call" | "custom_tool_call" | "mcp_approval_request":
            given = item.get("arguments") or item.get("input") or ""
            return Said(_of_server(who, item), "", (f"{item.get('name')}({given})",))
        case "function_call_output" | "custom_tool_call_output":
            return Said(who, _text(item.get("output")))
        case "file_search_call":
            found = [(_titled(one), str(one.get("text") or "")) for one in item.get("results") or ()]
            return Said(who, ", ".join(f"“{query}”" for query in item.get("queries") or ()), (), tuple(found))
        case "mcp_call":
            call = f"{item.get('name')}({item.get('arguments')})"
            return Said(_of_server(who, item), _text(item.get("error") or item.get("output") or ""), (call,))
        case "mcp_list_tools":
            tools = ", ".join(str(tool.get("name")) for tool in item.get("tools") or ())
            return Said(_of_server(who, item), tools or "None")
        case "mcp_approval_response":
            return Said(who, "Allowed" if item.get("approve") else "Refused")
        case "reasoning":
            return Said(who, "\n".join(str(part.get("text") or "") for part in item.get("summary") or ()))
    return Said(who, "", (), (("As it is", _json(item)),))


def said_by(body: dict[str, Any]) -> str:
    """What an answer of an operation says in one text: a completion, a response, an error, or else itself, cut."""
    if "message" in body and "choices" not in body:
        return str(body["message"])
    if error := body.get("error"):
        return str(error.get("message", error))
    if choices := body.get("choices"):
        told = [_of_choice(choice) for choice in choices]
        return "\n".join(each for each in told if each)
    if body.get("object") == "response":
        items = [said(item) for item in body.get("output") or ()]
        return "\n".join(filter(None, (" ".join((each.text, *each.calls)).strip() for each in items)))
    return _json(body)[:400]


def _of_choice(choice: dict[str, Any]) -> str:
    if "message" not in choice:
        return str(choice.get("text", ""))
    message = _message(choice["message"])
    return " ".join((message.text, *message.calls)).strip()


def _message(item: dict[str, Any]) -> Said:
    calls = []
    for call in item.get("tool_calls") or ():
        function = call.get("function") or call.get("custom") or {}
        calls.append(f"{function.get('name')}({function.get('arguments', function.get('input', ''))})")
    who = {"tool": "Function output"}.get(str(item.get("role")), str(item.get("role") or "message").capitalize())
    text = _text(item.get("content")) or str(item.get("refusal") or "")
    cited = [
        str(one.get("filename") or one.get("url") or "")
        for part in (item["content"] if isinstance(item.get("content"), list) else ())
        for one in part.get("annotations") or ()
    ]
    quoted = (("Cited", "\n".join(dict.fromkeys(filter(None, cited)))),) if any(cited) else ()
    return Said(who, text, tuple(calls), quoted)


def _text(content: Any) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    if isinstance(content, list) and all(isinstance(part, dict) for part in content):
        return "\n".join(str(part.get("text") or part.get("refusal") or _named(part)) for part in content)
    return _json(content)


def _named(part: dict[str, Any]) -> str:
    """A picture or a file among the words."""
    of = part.get("filename") or part.get("file_id") or (part.get("file") or {}).get("file_id") or ""
    kind = str(part.get("type") or "part").removeprefix("input_").replace("_", " ")
    return f"[{kind}{': ' if of else ''}{of}]"


def _titled(one: dict[str, Any]) -> str:
    score = one.get("score")
    return f"{one.get('filename') or one.get('file_id')}" + (f", {score:.2f}" if isinstance(score, float) else "")


def _of_server(who: str, item: dict[str, Any]) -> str:
    return f"{who}, {item['server_label']}" if item.get("server_label") else who


def _json(item: Any) -> str:
    text = json.dumps(item, indent=2, ensure_ascii=False)
    return text if len(text) <= _MOST_JSON else f"{text[:_MOST_JSON]}…"
