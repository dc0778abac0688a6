"""What holds a local engine to a form: JSON, a schema, a tool call.

Every constraint is a grammar that goes to the engine as data (``Completion.grammar``). It is compiled here first: an
engine that cannot compile a grammar generates without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from inhouse.generation import engine_schema
from inhouse.generation.call_syntax import RAW_CLOSING
from inhouse.generation.grammar import HEADER, compile_definition, why_not
from inhouse.generation.items import AnswerFormat, FunctionTool, GenerationRequest, JsonObject, JsonSchema, Tool
from inhouse.generation.schema import refusal, takes_nothing
from inhouse.kit.errors import InvalidRequest

RAW_INPUT = '<tool_input name="{name}">'
"""Opens a custom tool's input that follows its grammar, unquoted, up to ``RAW_CLOSING`` at the end of the text."""


class Constraint(msgspec.Struct, frozen=True):
    """A form that the whole output takes."""

    grammar: str
    dropped: tuple[str, ...] = ()
    """Keywords of a schema without ``strict`` that are not enforced."""


def constraint_for(request: GenerationRequest) -> Constraint | None:
    """What the whole answer to a request has to fit; None leaves the model free.

    A model that may call a tool but must answer in a form is held to one of the two. Takes up to a second for a hostile
    schema: run it in a thread.

    Raises:
        InvalidRequest: as ``json_schema`` and ``tool_call``.
    """
    tools = request.usable_tools
    answer = _answer_constraint(request.format)
    if tools and request.tool_choice.mode == "required":
        return tool_call(tools, parallel=request.parallel_tool_calls and not request.tool_choice.named)
    if tools and answer is not None:
        return tool_call(tools, parallel=request.parallel_tool_calls, instead=answer)
    return answer


def _answer_constraint(form: AnswerFormat | None) -> Constraint | None:
    match form:
        case None:
            return None
        case JsonObject():
            return json_object()
        case JsonSchema(name=name, schema=schema, strict=strict, param=param):
            return json_schema(schema, strict=strict, context_param=param, name=name)


def json_object() -> Constraint:
    """Any JSON object."""
    return Constraint(HEADER + f"start: {_json(engine_schema.with_spacing({'type': 'object'}))}\n")


def json_schema(schema: dict[str, Any], *, strict: bool, context_param: str, name: str) -> Constraint:
    """Values of ``schema``, which passed ``check_strict`` or ``check_lenient``.

    Raises:
        InvalidRequest: a strict schema asks for something that no engine can hold to, or that no value satisfies.
    """
    term, dropped = _schema_term(schema, strict=strict, context_param=context_param, name=name)
    return Constraint(HEADER + f"start: {term}\n", dropped)


def tool_call(tools: Sequence[Tool], *, parallel: bool, instead: Constraint | None = None) -> Constraint:
    """One call of one of ``tools``; with ``parallel`` one or more, each on its line.

    For ``tool_choice`` required, a named tool (pass it alone), or allowed tools in mode required. Functions come as
    ``{"name": …, "arguments": {…}}``, text tools as ``{"name": …, "input": "…"}``, grammar tools as ``RAW_INPUT`` and
    their text, which ends the output. ``tool_calls.ToolCallParser`` reads all of them.

    Args:
        tools: at least one.
        instead: what the model may write in place of a call.

    Raises:
        InvalidRequest: a strict schema or a grammar cannot be held to.
    """
    rules: list[str] = []
    quoted: list[str] = []
    raw: list[str] = []
    dropped: set[str] = set()
    for i, tool in enumerate(tools):
        if isinstance(tool, FunctionTool):
            term, left_out = _schema_term(
                _parameters(tool), strict=tool.strict, context_param=tool.param, name=tool.name
            )
            dropped.update(left_out)
            rules.append(f"call_{i}: {_opening(tool.name, 'arguments')} value_{i} {_literal('}')}")
            rules.append(f"value_{i}: {term}")
            quoted.append(f"call_{i}")
        elif tool.syntax == "text":
            rules.append(f"call_{i}: {_opening(tool.name, 'input')} value_{i} {_literal('}')}")
            rules.append(f"value_{i}: {_json(engine_schema.with_spacing({'type': 'string'}))}")
            quoted.append(f"call_{i}")
        else:
            body = compile_definition(tool.syntax, tool.definition, param=tool.param)
            rules.append(f"raw_{i}: {_literal(RAW_INPUT.format(name=tool.name))} value_{i} {_literal(RAW_CLOSING)}")
            rules.append(f"value_{i}: %lark {{\n{body}\n}}")
            raw.append(f"raw_{i}")
    sentences = []
    if quoted:
        rules.append(f"quoted: {' | '.join(quoted)}")
        sentences.append('quoted ("\\n" quoted)*' if parallel else "quoted")
    if raw:
        rules.append(f"raw: {' | '.join(raw)}")
        sentences.append("raw")
        if quoted and parallel:
            sentences.append('quoted ("\\n" quoted)* "\\n" raw')
    if instead is not None:
        rules.append(instead.grammar.removeprefix(HEADER).replace("start:", "answer:", 1).rstrip())
        sentences.append("answer")
        dropped.update(instead.dropped)
    body = f"start: {' | '.join(sentences)}\n" + "\n".join(rules) + "\n"
    if (problem := why_not(body)) is not None:
        raise InvalidRequest(f"These tools cannot be enforced together: {problem}", param="tools", code="invalid_value")
    return Constraint(HEADER + body, tuple(sorted(dropped)))


def spoken() -> Constraint:
    """Words: nothing that begins like a call, like code or like a mark."""
    return Constraint(HEADER + r"start: /[^\s<\[{`【](?s:.)*/" + "\n")


def arguments(tool: Tool) -> Constraint:
    """Only the arguments or input of a call whose opening is already written.

    A model that chose by itself to call a strict function or a grammar tool is held to it from there on.

    Raises:
        InvalidRequest: as ``tool_call``.
    """
    if isinstance(tool, FunctionTool):
        return json_schema(_parameters(tool), strict=tool.strict, context_param=tool.param, name=tool.name)
    if tool.syntax == "text":
        return Constraint(HEADER + f"start: {_json(engine_schema.with_spacing({'type': 'string'}))}\n")
    return Constraint(HEADER + compile_definition(tool.syntax, tool.definition, param=tool.param))


_NO_ARGUMENTS: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}


def _parameters(tool: FunctionTool) -> dict[str, Any]:
    """The schema that a call is held to; where it leaves open an object without properties, a small model fills it."""
    return _NO_ARGUMENTS if tool.parameters is None or takes_nothing(tool.parameters) else tool.parameters


def _schema_term(schema: dict[str, Any], *, strict: bool, context_param: str, name: str) -> tuple[str, tuple[str, ...]]:
    if strict:
        try:
            term = _json(engine_schema.strict(schema))
        except ValueError as error:
            raise refusal(str(error), context_param=context_param, name=name) from None
        if (problem := why_not(f"start: {term}\n")) is not None:
            raise refusal(_reason(problem), context_param=context_param, name=name)
        return term, ()
    rewritten, dropped = engine_schema.lenient(schema)
    if engine_schema.items_in(rewritten) > engine_schema.MOST_ITEMS_ANYWHERE:
        return _json(engine_schema.with_spacing({"type": "object"})), ("*",)
    term = _json(rewritten)
    if why_not(f"start: {term}\n") is None:
        return term, tuple(dropped)
    for keys in (("pattern",), ("pattern", "format", "patternProperties", "oneOf", "allOf")):
        fewer = _without(rewritten, frozenset(keys))
        term = _json(fewer)
        if why_not(f"start: {term}\n") is None:
            return term, tuple(sorted({*dropped, *keys}))
    return _json(engine_schema.with_spacing({"type": "object"})), ("*",)


def _without(schema: Any, keys: frozenset[str]) -> Any:
    if isinstance(schema, list):
        return [_without(item, keys) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: {name: _without(sub, keys) for name, sub in value.items()}
        if key in ("properties", "$defs", "definitions") and isinstance(value, dict)
        else value
        if key in ("enum", "const", "default", "examples")
        else _without(value, keys)
        for key, value in schema.items()
        if key not in keys
    }


def _reason(problem: str) -> str:
    """The compiler's words without its position, which is not the client's."""
    first = problem.split("failed to compile JSON schema:")[-1].strip()
    return first.split("\n   1 |")[0].strip().rstrip(".") + "."


def _json(schema: dict[str, Any]) -> str:
    return "%json " + msgspec.json.encode(schema).decode()


def _opening(name: str, key: str) -> str:
    """The literals of ``{"name": …, "arguments": ``.

    They are cut where those of JSON are: the lexer is greedy, so one literal for all would keep it from ever reading
    another object that begins with ``{"``.
    """
    return " ".join(map(_literal, ("{", '"name"', ": ", f'"{name}"', ", ", f'"{key}"', ": ")))


def _literal(text: str) -> str:
    return msgspec.json.encode(text).decode()
