"""Legacy Completions."""

from __future__ import annotations

from typing import Any

import pytest
from openai import BadRequestError, NotFoundError, OpenAI

from .running import INSTRUCT, Server

COUNT = "One, two, three,"


def complete(client: OpenAI, prompt: Any = COUNT, **options: Any) -> Any:
    return client.completions.create(
        **{"model": INSTRUCT, "prompt": prompt, "max_tokens": 6, "temperature": 0, **options}
    )


def test_a_text_goes_on(client: OpenAI, server: Server) -> None:
    completion = complete(client)
    assert completion.id.startswith("cmpl-")
    assert (completion.object, completion.model) == ("text_completion", "gpt-3.5-turbo-instruct")
    (choice,) = completion.choices
    assert choice.text.startswith(" four, five")
    assert (choice.index, choice.finish_reason, choice.logprobs) == (0, "length", None)
    usage = completion.usage
    assert (usage.completion_tokens, usage.total_tokens) == (6, usage.prompt_tokens + 6)
    assert server.settled(completion._request_id)["output_tokens"] == 6


def test_sixteen_tokens_unless_told(client: OpenAI) -> None:
    completion = client.completions.create(model=INSTRUCT, prompt=COUNT, temperature=0)
    assert completion.usage is not None
    assert completion.usage.completion_tokens == 16


def test_every_form_of_prompt(client: OpenAI) -> None:
    """A text, texts, token ids, lists of them: each prompt gets its choices, in order."""
    tokens = complete(client, COUNT, echo=True, max_tokens=0, logprobs=0).choices[0].logprobs.tokens
    assert "".join(tokens) == COUNT
    one = complete(client).choices[0].text
    several = complete(client, [COUNT, "Monday, Tuesday, Wednesday,"]).choices
    assert [choice.index for choice in several] == [0, 1]
    assert several[0].text == one
    assert several[1].text.startswith(" Thursday")
    ids = [32, 11, 425]  # "A", ",", " B" in the vocabulary of Qwen2
    assert complete(client, ids, echo=True, max_tokens=0).choices[0].text == "A, B"
    assert complete(client, ids).usage.prompt_tokens == 3
    assert complete(client, [ids, ids[:2]]).usage.prompt_tokens == 5
    assert [choice.text for choice in complete(client, [ids, ids[:1]], echo=True, max_tokens=0).choices] == [
        "A, B",
        "A",
    ]
    assert complete(client, "").choices[0].text


def test_n_choices_for_each_prompt(client: OpenAI) -> None:
    completion = complete(client, [COUNT, "A, B, C,"], n=2, temperature=1, seed=3)
    assert [choice.index for choice in completion.choices] == [0, 1, 2, 3]
    assert completion.usage.completion_tokens == 24


def test_echo_gives_the_prompt_back(client: OpenAI) -> None:
    plain = complete(client).choices[0].text
    assert complete(client, echo=True).choices[0].text == COUNT + plain
    nothing_more = complete(client, echo=True, max_tokens=0)
    assert nothing_more.choices[0].text == COUNT
    assert nothing_more.usage.completion_tokens == 0


def test_logprobs(client: OpenAI) -> None:
    told = complete(client, logprobs=2, max_tokens=3).choices[0]
    logprobs = told.logprobs
    assert "".join(logprobs.tokens) == told.text
    assert len(logprobs.tokens) == len(logprobs.token_logprobs) == len(logprobs.top_logprobs) == 3
    assert logprobs.text_offset == [sum(map(len, logprobs.tokens[:place])) for place in range(3)]
    for token, logprob, top in zip(logprobs.tokens, logprobs.token_logprobs, logprobs.top_logprobs, strict=True):
        assert len(top) == 2
        assert top[token] == pytest.approx(logprob)
        assert max(top.values()) == pytest.approx(logprob)


def test_logprobs_of_an_echoed_prompt(client: OpenAI) -> None:
    """The way to score a text: exactly what the model itself would say at each place."""
    scored = complete(client, COUNT + " four,", echo=True, logprobs=1, max_tokens=0).choices[0].logprobs
    assert "".join(scored.tokens) == COUNT + " four,"
    assert scored.token_logprobs[0] is None
    assert scored.top_logprobs[0] is None
    assert all(logprob <= 0 for logprob in scored.token_logprobs[1:])
    generated = complete(client, logprobs=1, max_tokens=2).choices[0].logprobs
    assert generated.tokens == scored.tokens[-2:]
    assert generated.token_logprobs == pytest.approx(scored.token_logprobs[-2:], abs=0.05)


def test_suffix_fills_the_gap(client: OpenAI) -> None:
    completion = complete(client, "def add(a, b):\n    return ", suffix="\n\nprint(add(1, 2))\n", max_tokens=12)
    assert completion.choices[0].text.strip().startswith("a + b")


def test_best_of_gives_the_likeliest(client: OpenAI) -> None:
    drawn = complete(client, "The sky is", n=4, temperature=1, seed=1, logprobs=0)
    best = complete(client, "The sky is", n=1, best_of=4, temperature=1, seed=1, logprobs=0)
    assert best.usage.completion_tokens == drawn.usage.completion_tokens
    assert len(best.choices) == 1

    def mean(choice: Any) -> float:
        return float(sum(choice.logprobs.token_logprobs) / len(choice.logprobs.token_logprobs))

    # Drawn side by side, sequences differ in the last digits from run to run, so the texts may.
    assert mean(best.choices[0]) >= min(mean(choice) for choice in drawn.choices)
    assert complete(client, "The sky is", n=1, best_of=2, temperature=1).choices[0].logprobs is None


def test_stop(client: OpenAI) -> None:
    choice = complete(client, stop=[" five"], max_tokens=20).choices[0]
    assert (choice.text, choice.finish_reason) == (" four,", "stop")


def test_logit_bias_and_penalties(client: OpenAI) -> None:
    assert complete(client, logit_bias={"15": 100}, max_tokens=4).choices[0].text == "0000"
    repeated = complete(client, "la la la la", max_tokens=12).choices[0].text
    assert repeated.count("la") > 6
    assert complete(client, "la la la la", max_tokens=12, frequency_penalty=2).choices[0].text != repeated


def test_a_stream(client: OpenAI) -> None:
    whole = complete(client).choices[0].text
    *chunks, last = list(complete(client, stream=True, stream_options={"include_usage": True}))
    assert len({chunk.id for chunk in [*chunks, last]}) == 1
    assert "".join(chunk.choices[0].text for chunk in chunks) == whole
    assert chunks[-1].choices[0].finish_reason == "length"
    assert all(chunk.usage is None for chunk in chunks)
    assert last.choices == []
    assert last.usage.completion_tokens == 6


def test_a_stream_of_several_prompts_with_echo_and_logprobs(client: OpenAI) -> None:
    texts = {0: "", 1: ""}
    ends: dict[int, int] = {0: 0, 1: 0}
    for chunk in complete(client, [COUNT, "A, B, C,"], stream=True, echo=True, logprobs=0):
        (choice,) = chunk.choices
        if choice.logprobs is not None:
            assert choice.logprobs.text_offset[:1] in ([], [ends[choice.index]])
            ends[choice.index] += sum(map(len, choice.logprobs.tokens))
        texts[choice.index] += choice.text
    assert texts[0].startswith(COUNT)
    assert texts[1].startswith("A, B, C,")
    assert ends == {index: len(text) for index, text in texts.items()}


@pytest.mark.parametrize(
    ("options", "param", "code"),
    [
        ({"prompt": []}, "prompt", "empty_array"),
        ({"prompt": ["a", 1]}, "prompt", "invalid_type"),
        ({"prompt": 1}, "prompt", "invalid_type"),
        ({"prompt": [-1]}, "prompt[0]", "integer_below_min_value"),
        ({"prompt": ["a"] * 129}, "prompt", None),
        ({"n": 2, "best_of": 1}, "best_of", None),
        ({"best_of": 2, "stream": True}, "best_of", None),
        ({"best_of": 21}, "best_of", "integer_above_max_value"),
        ({"suffix": "x", "echo": True}, "echo", None),
        ({"logprobs": 6}, "logprobs", "integer_above_max_value"),
        ({"max_tokens": -1}, "max_tokens", "integer_below_min_value"),
        ({"max_tokens": 4096}, None, "context_length_exceeded"),
        ({"prompt": "word " * 5000}, None, "context_length_exceeded"),
        ({"stream_options": {"include_usage": True}}, "stream_options", None),
        ({"logit_bias": {"word": 1}}, "logit_bias", None),
        ({"logit_bias": {"151936": 1}}, "logit_bias", None),
        ({"extra_body": {"messages": []}}, None, None),
    ],
)
def test_what_is_refused(client: OpenAI, options: Any, param: str | None, code: str | None) -> None:
    with pytest.raises(BadRequestError) as refused:
        complete(client, **options)
    assert (refused.value.type, refused.value.param, refused.value.code) == ("invalid_request_error", param, code)


@pytest.mark.parametrize("echo", [False, True])
@pytest.mark.parametrize("prompt", [[9_999_999], [[1], [151_936]]])
def test_tokens_that_are_not_in_the_vocabulary(client: OpenAI, prompt: Any, echo: bool) -> None:
    with pytest.raises(BadRequestError) as refused:
        complete(client, prompt, echo=echo)
    assert refused.value.param == "prompt"
    assert complete(client).choices[0].text  # and the engine is none the worse for it


def test_the_words_of_the_window(client: OpenAI) -> None:
    with pytest.raises(BadRequestError) as refused:
        complete(client, max_tokens=4096)
    assert refused.value.body["message"] == (  # type: ignore[index]
        "This model's maximum context length is 4096 tokens, however you requested 4102 tokens (6 in your prompt; 4096 "
        "for the completion). Please reduce your prompt; or completion length."
    )


def test_a_chat_model_has_no_legacy_endpoint(client: OpenAI) -> None:
    with pytest.raises(NotFoundError) as refused:
        complete(client, model="gpt-4.1")
    assert refused.value.body["message"] == (  # type: ignore[index]
        "This is a chat model and not supported in the v1/completions endpoint. Did you mean to use "
        "v1/chat/completions?"
    )
    assert refused.value.param == "model"
