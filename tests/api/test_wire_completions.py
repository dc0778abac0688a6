from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from openai.types import Completion as SDKCompletion
from openai.types import completion_create_params as sdk

from inhouse.api.completions import wire
from inhouse.api.wire import CompletionUsage
from inhouse.kit.errors import InvalidRequest

DECODER = msgspec.json.Decoder(wire.CreateCompletionRequest)


def decode(**body: Any) -> wire.CreateCompletionRequest:
    return DECODER.decode(json.dumps({"model": "gpt-4.1", "prompt": "hi"} | body).encode())


def test_every_parameter_of_the_sdk_is_a_field() -> None:
    ours = {field.encode_name for field in msgspec.structs.fields(wire.CreateCompletionRequest)}
    assert ours == set(sdk.CompletionCreateParamsBase.__annotations__) | {"stream"}


def test_a_request_that_uses_everything() -> None:
    body: sdk.CompletionCreateParamsStreaming = {
        "model": "gpt-4.1",
        "prompt": ["a", "b"],
        "best_of": 20,
        "echo": True,
        "frequency_penalty": 1,
        "logit_bias": {"1": 1},
        "logprobs": 5,
        "max_tokens": 0,
        "n": 1,
        "presence_penalty": -1,
        "seed": 7,
        "stop": "x",
        "stream": True,
        "stream_options": {"include_usage": True},
        "suffix": "s",
        "temperature": 0,
        "top_p": 0.5,
        "user": "u",
    }
    request = decode(**body)
    assert msgspec.to_builtins(request) == body


@pytest.mark.parametrize("prompt", ["a", ["a", "b"], [1, 2], [[1], [2, 3]], None])
def test_prompts(prompt: Any) -> None:
    assert decode(prompt=prompt).prompt == prompt


@pytest.mark.parametrize("prompt", [["a", 1], [1, [1]], ["a", ["b"]]])
def test_prompts_of_mixed_kinds_are_refused(prompt: Any) -> None:
    with pytest.raises((InvalidRequest, msgspec.ValidationError)) as refused:
        decode(prompt=prompt)
    assert isinstance(refused.value, msgspec.ValidationError) or refused.value.param == "prompt"


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"prompt": []}, "$.prompt"),
        ({"prompt": [[]]}, "$.prompt[0]"),
        ({"prompt": [-1]}, "$.prompt[0]"),
        ({"prompt": {}}, "$.prompt"),
        ({"best_of": 21}, "$.best_of"),
        ({"logprobs": 6}, "$.logprobs"),
        ({"logprobs": True}, "$.logprobs"),
        ({"max_tokens": -1}, "$.max_tokens"),
    ],
)
def test_what_breaks_the_contract_is_refused(body: dict[str, Any], where: str) -> None:
    with pytest.raises(msgspec.ValidationError) as refused:
        decode(**body)
    assert str(refused.value).endswith(f"`{where}`")


def test_the_sdk_takes_the_answer() -> None:
    answer = wire.Completion(
        id="cmpl-1",
        created=1,
        model="gpt-4.1-2025-04-14",
        choices=[
            wire.CompletionChoice(
                text="hi",
                index=0,
                finish_reason="stop",
                logprobs=wire.CompletionLogprobs(
                    tokens=["hi"], token_logprobs=[-0.1], top_logprobs=[{"hi": -0.1}], text_offset=[0]
                ),
            )
        ],
        usage=CompletionUsage(prompt_tokens=1, completion_tokens=1, total_tokens=2),
        system_fingerprint="fp_1",
    )
    parsed = SDKCompletion.model_validate_json(msgspec.json.encode(answer), strict=True)
    assert parsed.choices[0].logprobs is not None
    assert parsed.model_extra == {}


def test_a_streamed_event_is_the_same_shape() -> None:
    event = wire.Completion(
        id="cmpl-1", created=1, model="gpt-4.1-2025-04-14", choices=[wire.CompletionChoice(text="h", index=0)]
    )
    assert msgspec.json.encode(event) == (
        b'{"id":"cmpl-1","object":"text_completion","created":1,"model":"gpt-4.1-2025-04-14",'
        b'"choices":[{"text":"h","index":0,"logprobs":null,"finish_reason":null}]}'
    )
