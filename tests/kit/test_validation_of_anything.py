"""Whatever is sent, there is a value or a refusal."""

from __future__ import annotations

import json
import random
from typing import Any

import msgspec
from tests.kit.bodies import Body, outcome

_NAMES = [field.encode_name for field in msgspec.structs.fields(Body)] + [
    "role",
    "content",
    "type",
    "text",
    "image_url",
    "url",
    "detail",
    "name",
    "\u00e9",
    "",
    "a.b",
    "a[0]",
    "`",
]
_LEAVES: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2,
    7,
    10**18,
    10**30,
    -(10**30),
    0.5,
    1e300,
    "",
    "x",
    "auto",
    "user",
    "text",
    "image_url",
    "a b",
    "\u2028\U0001f600",
    "x" * 600,
    [],
    {},
]


def _anything(dice: random.Random, depth: int) -> Any:
    kind = dice.random()
    if depth <= 0 or kind < 0.4:
        return dice.choice(_LEAVES)
    if kind < 0.65:
        return [_anything(dice, depth - 1) for _ in range(dice.randrange(6))]
    names = dice.sample(_NAMES, dice.randrange(8))
    return {name: _anything(dice, depth - 1) for name in names}


def _nearly(dice: random.Random) -> Any:
    """A good body in which one place is replaced."""
    body: Any = {
        "model": "m",
        "messages": [
            {"role": "system", "content": "s"},
            {
                "role": "user",
                "content": [{"type": "text", "text": "t"}, {"type": "image_url", "image_url": {"url": "u"}}],
            },
        ],
        "metadata": {"a": "b"},
        "extra": {"k": [{"type": "text", "text": "t"}]},
        "box": [1, "x"],
        "stop": ["a"],
        "tool_choice": {"url": "u"},
        "temperature": 1,
    }
    at = body
    while True:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        if not keys:
            return body
        key = dice.choice(keys)
        if isinstance(at[key], (dict, list)) and dice.random() < 0.7:
            at = at[key]
            continue
        what = dice.random()
        if what < 0.2 and isinstance(at, dict):
            del at[key]
        elif what < 0.4 and isinstance(at, dict):
            at[dice.choice(_NAMES)] = _anything(dice, 2)
        else:
            at[key] = _anything(dice, 3)
        return body


def test_any_json_is_a_value_or_a_refusal() -> None:
    dice = random.Random(20_26)
    refused = 0
    generic = []
    for turn in range(6000):
        value = _nearly(dice) if turn % 2 else _anything(dice, 5)
        data = json.dumps(value).encode()
        error = outcome(data, style="legacy" if turn % 3 else "named")
        if error is not None:
            refused += 1
            assert error.message
            if error.code == "invalid_value" and "Supported values" not in error.message:
                generic.append(error.message)
    assert refused > 2000
    # Those that msgspec alone explains are few kinds: base64, and what a Struct itself refuses.
    known = ("base64", "greedy", "multiple of", "does not match pattern")
    assert [each for each in generic if not any(part in each for part in known)] == []


def test_any_bytes_are_a_value_or_a_refusal() -> None:
    dice = random.Random(1)
    good = json.dumps(_nearly(random.Random(3))).encode()
    for _ in range(3000):
        data = bytearray(good)
        for _ in range(dice.randrange(1, 4)):
            where = dice.randrange(len(data))
            match dice.randrange(3):
                case 0:
                    data[where] = dice.randrange(256)
                case 1:
                    del data[where : where + dice.randrange(9)]
                case _:
                    data[where:where] = dice.choice([b"\\u0000", b"\\ud800", b"\xff", b"1e999", b"[", b"}", b'"', b"-"])
        outcome(bytes(data))
