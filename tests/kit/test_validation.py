from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.kit.bodies import Body, outcome, refusal

from inhouse.kit.errors import InvalidRequest
from inhouse.kit.validation import MOST_OBJECTS, decode

STRING = "but got a string instead."


@pytest.mark.parametrize(
    ("fields", "param", "code", "message"),
    [
        (
            {"temperature": "hot"},
            "temperature",
            "invalid_type",
            "Invalid type for 'temperature': expected a decimal, but got a string instead.",
        ),
        ({"n": "2"}, "n", "invalid_type", "Invalid type for 'n': expected an integer, but got a string instead."),
        (
            {"seed": 1.5},
            "seed",
            "invalid_type",
            "Invalid type for 'seed': expected an integer, but got a decimal number instead.",
        ),
        (
            {"store": "y"},
            "store",
            "invalid_type",
            "Invalid type for 'store': expected a boolean, but got a string instead.",
        ),
        (
            {"store": None},
            "store",
            "invalid_type",
            "Invalid type for 'store': expected a boolean, but got null instead.",
        ),
        ({"n": True}, "n", "invalid_type", "Invalid type for 'n': expected an integer, but got a boolean instead."),
        (
            {"messages": "hi"},
            "messages",
            "invalid_type",
            "Invalid type for 'messages': expected an array of objects, but got a string instead.",
        ),
        (
            {"messages": ["hi"]},
            "messages[0]",
            "invalid_type",
            "Invalid type for 'messages[0]': expected an object, but got a string instead.",
        ),
        (
            {"messages": [{"role": "user", "content": 7}]},
            "messages[0].content",
            "invalid_type",
            "Invalid type for 'messages[0].content': expected one of a string or array of objects, "
            "but got an integer instead.",
        ),
        (
            {"prompt": {}},
            "prompt",
            "invalid_type",
            "Invalid type for 'prompt': expected one of a string or array of strings, but got an object instead.",
        ),
        (
            {"service_tier": {}},
            "service_tier",
            "invalid_type",
            "Invalid type for 'service_tier': expected one of 'auto', 'default', 'flex', or 'priority', "
            "but got an object instead.",
        ),
        (
            {"metadata": "x"},
            "metadata",
            "invalid_type",
            "Invalid type for 'metadata': expected a metadata object, but got a string instead.",
        ),
        (
            {"metadata": {"k": 7}},
            "metadata.k",
            "invalid_type",
            "Invalid type for 'metadata.k': expected a string, but got an integer instead.",
        ),
        (
            {"messages": [{"role": "user"}]},
            "messages[0].content",
            "missing_required_parameter",
            "Missing required parameter: 'messages[0].content'.",
        ),
        (
            {"messages": [{"content": "hi"}]},
            "messages[0].role",
            "missing_required_parameter",
            "Missing required parameter: 'messages[0].role'.",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "messages[0].content[0].image_url.url",
            "missing_required_parameter",
            "Missing required parameter: 'messages[0].content[0].image_url.url'.",
        ),
        ({"foo": 1}, "foo", "unknown_parameter", "Unknown parameter: 'foo'."),
        (
            {"messages": [{"role": "user", "content": "hi", "bogus": 1}]},
            "messages[0].bogus",
            "unknown_parameter",
            "Unknown parameter: 'messages[0].bogus'.",
        ),
        (
            {"service_tier": "bogus"},
            "service_tier",
            "invalid_value",
            "Invalid value: 'bogus'. Supported values are: 'auto', 'default', 'flex', and 'priority'.",
        ),
        (
            {"tier": "bogus"},
            "tier",
            "invalid_value",
            "Invalid value: 'bogus'. Supported values are: 'auto' and 'flex'.",
        ),
        (
            {"tool_choice": "bogus"},
            "tool_choice",
            "invalid_value",
            "Invalid value: 'bogus'. Supported values are: 'none', 'auto', and 'required'.",
        ),
        (
            {"messages": [{"role": "bogus", "content": "hi"}]},
            "messages[0].role",
            "invalid_value",
            "Invalid value: 'bogus'. Supported values are: 'system' and 'user'.",
        ),
        (
            {"messages": [{"role": 3, "content": "hi"}]},
            "messages[0].role",
            "invalid_type",
            "Invalid type for 'messages[0].role': expected one of 'system' or 'user', but got an integer instead.",
        ),
        (
            {"temperature": 99},
            "temperature",
            "decimal_above_max_value",
            "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 99.0 instead.",
        ),
        (
            {"temperature": -0.5},
            "temperature",
            "decimal_below_min_value",
            "Invalid 'temperature': decimal below minimum value. Expected a value >= 0, but got -0.5 instead.",
        ),
        (
            {"top_p": 0},
            "top_p",
            "decimal_below_min_value",
            "Invalid 'top_p': decimal below minimum value. Expected a value > 0, but got 0.0 instead.",
        ),
        (
            {"top_p": 1},
            "top_p",
            "decimal_above_max_value",
            "Invalid 'top_p': decimal above maximum value. Expected a value < 1, but got 1.0 instead.",
        ),
        (
            {"n": 0},
            "n",
            "integer_below_min_value",
            "Invalid 'n': integer below minimum value. Expected a value >= 1, but got 0 instead.",
        ),
        (
            {"n": 64},
            "n",
            "integer_above_max_value",
            "Invalid 'n': integer above maximum value. Expected a value <= 8, but got 64 instead.",
        ),
        (
            {"prompt_cache_key": "x" * 65},
            "prompt_cache_key",
            "string_above_max_length",
            "Invalid 'prompt_cache_key': string too long. Expected a string with maximum length 64, "
            "but got a string with length 65 instead.",
        ),
        (
            {"messages": [{"role": "user", "content": "hi", "name": ""}]},
            "messages[0].name",
            "empty_string",
            "Invalid 'messages[0].name': empty string. Expected a string with minimum length 1, "
            "but got an empty string instead.",
        ),
        (
            {"messages": [{"role": "user", "content": "hi", "name": "a b"}]},
            "messages[0].name",
            "invalid_value",
            "Invalid 'messages[0].name': string does not match pattern. Expected a string that matches the pattern "
            "'^[a-zA-Z0-9_-]+$'.",
        ),
        (
            {"stop": ["a"] * 5},
            "stop",
            "array_above_max_length",
            "Invalid 'stop': array too long. Expected an array with maximum length 4, "
            "but got an array with length 5 instead.",
        ),
        (
            {"messages": []},
            "messages",
            "empty_array",
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
        ),
        (
            {"metadata": {f"k{index}": "v" for index in range(17)}},
            "metadata",
            "object_above_max_properties",
            "Invalid 'metadata': too many properties. Expected an object with at most 16 properties, "
            "but got an object with 17 properties instead.",
        ),
        (
            {"metadata": {"a": "b", "k": "x" * 513}},
            "metadata.k",
            "string_above_max_length",
            "Invalid 'metadata.k': string too long. Expected a string with maximum length 512, "
            "but got a string with length 513 instead.",
        ),
        (
            {"metadata": {"k" * 70: "v"}},
            f"metadata.{'k' * 70}",
            "property_name_above_max_length",
            "Invalid property name in 'metadata': 'kkk...kkk' is too long. Expected a string with maximum length 64, "
            "but got a string with length 70 instead.",
        ),
        (
            {"extra": {"a": [], "b": [{"type": "text", "text": 1}]}},
            "extra.b[0].text",
            "invalid_type",
            "Invalid type for 'extra.b[0].text': expected a string, but got an integer instead.",
        ),
        (
            {"parent": {"model": "m", "messages": [], "n": 0}},
            "parent.messages",
            "empty_array",
            "Invalid 'parent.messages': empty array. Expected an array with minimum length 1, "
            "but got an empty array instead.",
        ),
        (
            {"box": [1]},
            "box",
            "array_below_min_length",
            "Invalid 'box': array too short. Expected an array with minimum length 2, "
            "but got an array with length 1 instead.",
        ),
        ({"temperature": 0, "n": 2}, None, "invalid_value", "n must be 1 when using greedy sampling."),
        ({"data": "@"}, "data", "invalid_value", "Invalid 'data': invalid base64 encoded string."),
        ({"even": 3}, "even", "invalid_value", "Invalid 'even': integer is not a multiple of 2. Got 3."),
    ],
)
def test_refusals(fields: dict[str, Any], param: str | None, code: str, message: str) -> None:
    error = refusal(fields)
    assert (error.param, error.code, error.message) == (param, code, message)
    assert (error.status, error.type) == (400, "invalid_request_error")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ('{"zzz": 1}', "model"),
        ('{"model": "m", "zzz": 1, "n": "abc"}', "messages"),
        ('{"model": "m", "n": "abc", "messages": [], "zzz": 1}', "zzz"),
        ('{"model": "m", "messages": [{"role": "user", "content": 1, "bogus": 2}]}', "messages[0].bogus"),
    ],
)
def test_missing_comes_before_unknown_before_wrong(body: str, param: str) -> None:
    assert refusal(body).param == param


def test_legacy_wording_of_the_top_level() -> None:
    one = refusal({"foo": 1}, style="legacy")
    assert (one.message, one.param, one.code) == ("Unrecognized request argument supplied: foo", None, None)
    two = refusal({"foo": 1, "bar": 2}, style="legacy")
    assert two.message == "Unrecognized request arguments supplied: bar, foo"
    inner = refusal({"messages": [{"role": "user", "content": "hi", "bogus": 1}]}, style="legacy")
    assert (inner.message, inner.code) == ("Unknown parameter: 'messages[0].bogus'.", "unknown_parameter")
    model = refusal('{"messages": []}', style="legacy")
    assert (model.message, model.param, model.code) == ("you must provide a model parameter", None, None)
    typed = refusal({"model": 5}, style="legacy")
    assert typed.message.startswith("We could not parse the JSON body of your request.")
    assert refusal({"n": 0}, style="legacy").code == "integer_below_min_value"


NESTED = b"[" * 10_000 + b"]" * 10_000


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"{",
        b"{} x",
        b"\xef\xbb\xbf{}",
        b"\x00",
        b'{"model":"m","messages":[{"role":"user","content":"\x00"}]}',
        b'{"model":"\xff","messages":[]}',
        b'{"model":"\\ud800","messages":[]}',
        b'{"temperature":NaN}',
        b'{"temperature":Infinity}',
        b'{"temperature":-Infinity}',
        b"NaN",
        b'{"anything":' + NESTED + b"}",
        b'{"foo":' + NESTED + b"}",
        b"[" * 1_000_000,
        b'{"a":' * 30_000,
        b'{"n":0,',
        b"{'a': 1}",
        b"model=m&messages=1",
    ],
)
def test_what_is_not_json(data: bytes) -> None:
    error = refusal(data)
    assert error.message.startswith(
        "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library "
        "correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON."
    )
    assert (error.param, error.code) == (None, None)


@pytest.mark.parametrize(
    ("data", "got"),
    [(b"[]", "an array"), (b'"x"', "a string"), (b"null", "null"), (b"3", "an integer"), (b"0.5", "a decimal number")],
)
def test_top_level_must_be_an_object(data: bytes, got: str) -> None:
    assert refusal(data).message == f"Invalid type: expected an object, but got {got} instead."


@pytest.mark.parametrize("number", [b"1" * 5000, b"-" + b"9" * 400, b"1e999", b"-1e999", b"0." + b"1" * 10_000])
@pytest.mark.parametrize("field", [b"n", b"seed", b"temperature", b"store", b"anything", b"metadata", b"model"])
def test_numbers_that_no_machine_type_holds(field: bytes, number: bytes) -> None:
    data = b'{"model":"m","messages":[{"role":"user","content":"hi"}],"%b":%b}' % (field, number)
    error = outcome(data)
    if error is not None:
        assert error.param == field.decode()
        assert len(error.message) < 1000


def test_integer_that_no_machine_type_holds() -> None:
    error = refusal(b'{"model":"m","messages":[{"role":"user","content":"hi"}],"seed":-%b}' % (b"1" * 5000))
    assert error.code == "integer_below_min_value"
    assert error.message == (
        "Invalid 'seed': integer below minimum value. Expected a value >= -9223372036854775807, "
        f"but got -{'1' * 199}... instead."
    )


def test_last_of_duplicate_keys_counts() -> None:
    data = b'{"model":"a","model":"b","messages":[{"role":"user","content":"hi"}]}'
    assert decode(data, Body).model == "b"
    assert refusal(b'{"model":"a","messages":[],"messages":3}').param == "messages"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": [{"role": "user", "content": "a\0b"}]}, "messages[0].content"),
        ({"metadata": {"k\0": "v"}}, "metadata.k\\u0000"),
        ({"anything": {"deep": ["\0"]}}, "anything.deep[0]"),
    ],
)
def test_nul_is_refused_wherever_it_hides(fields: dict[str, Any], param: str) -> None:
    error = refusal(fields)
    assert error.message == f"Invalid '{param}': string contains U+0000, which is not allowed."
    assert error.param == param
    escaped = b'{"model":"m","messages":[{"role":"user","content":"\\\\u0000"}]}'
    assert isinstance(decode(escaped, Body), Body)


def test_long_values_are_not_echoed_whole() -> None:
    error = refusal({"service_tier": "x" * 100_000})
    assert len(error.message) < 500
    error = refusal({"y" * 100_000: 1})
    assert error.param is not None
    assert len(error.message) + len(error.param) < 1000


class Tagged(msgspec.Struct, tag_field="type", tag="tagged", forbid_unknown_fields=True):
    text: str


class Other(msgspec.Struct, tag_field="type", tag="other"):
    pass


class Mending(msgspec.Struct, forbid_unknown_fields=True):
    items: list[Tagged | Other]

    @staticmethod
    def mend(value: Any) -> bool:
        if not isinstance(value, dict) or not isinstance(value.get("items"), list):
            return False
        missing = [item for item in value["items"] if isinstance(item, dict) and "type" not in item]
        for item in missing:
            item["type"] = "tagged"
        return bool(missing)


def test_a_type_may_mend_what_the_contract_lets_out() -> None:
    assert decode(b'{"items": [{"text": "a"}, {"type": "other"}]}', Mending).items == [Tagged("a"), Other()]


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        (b'{"items": [{"text": 1}]}', "items[0].text", "invalid_type"),
        (b'{"items": [{"text": "a", "b": 1}]}', "items[0].b", "unknown_parameter"),
        (b'{"items": [{"type": "none"}]}', "items[0].type", "invalid_value"),
        (b'{"items": 1}', "items", "invalid_type"),
        (b"[]", None, "invalid_type"),
        (b'{"items": [{"text": "\\u0000"}]}', "items[0].text", None),
    ],
)
def test_what_stays_wrong_after_mending_is_told_as_ever(body: bytes, param: str | None, code: str | None) -> None:
    with pytest.raises(InvalidRequest) as refused:
        decode(body, Mending)
    assert (refused.value.param, refused.value.code) == (param, code)


def test_a_body_of_a_great_many_objects_is_refused() -> None:
    """Each is worked on by itself, in which time nobody else is served."""
    many = b", ".join([b'{ "a": 1}'] * (MOST_OBJECTS + 1))
    with pytest.raises(InvalidRequest, match=f"at most {MOST_OBJECTS} objects"):
        decode(b"[" + many + b"]", list[Any])
    assert len(decode(b"[" + many[11:] + b"]", list[Any])) == MOST_OBJECTS


def test_what_only_looks_like_objects_in_a_text_does_not_count() -> None:
    code = msgspec.json.encode('{"a": {}}' * (MOST_OBJECTS + 1))
    assert decode(code, str).startswith('{"a"')
