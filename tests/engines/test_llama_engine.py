"""The embedded engine on a real model."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from inhouse.engines.llama.engine import LlamaEngine
from inhouse.engines.llama.run import Run
from inhouse.engines.llama.spec import DecodingDefaults, LlamaSpec, Lora, Rope
from inhouse.engines.protocol import BadConstraint, Completion, EngineBusy, EngineFailed, Finished, Piece
from inhouse.engines.supervisor import Settings
from inhouse.engines.weights import BadGGUF

Make = Callable[..., LlamaEngine]


@pytest.fixture
async def make(smollm2: Path) -> AsyncIterator[Make]:
    made: list[LlamaEngine] = []

    def build(*, max_queue: int = 100, idle: float = 0.0, **spec: Any) -> LlamaEngine:
        spec = {"kv_tokens": 2048, "slots": 4, "prompt_cache_mib": 0, **spec}
        engine = LlamaEngine(
            LlamaSpec(path=str(smollm2), **spec), max_queue=max_queue, settings=Settings(idle=idle, first_delay=0.05)
        )
        made.append(engine)
        return engine

    yield build
    for engine in made:
        await engine.close()


class Answer:
    def __init__(self, events: list[Piece | Finished]) -> None:
        self.pieces = [event for event in events if isinstance(event, Piece)]
        self.text = "".join(piece.text for piece in self.pieces)
        self.tokens = [token for piece in self.pieces for token in piece.tokens]
        self.logprobs = [one for piece in self.pieces for one in piece.logprobs]
        [self.end] = [event for event in events if isinstance(event, Finished)]
        assert events[-1] is self.end


def of_schema(schema: dict[str, Any]) -> str:
    """A grammar that allows the values of a JSON schema."""
    return f"%llguidance {{}}\nstart: %json {json.dumps(schema)}\n"


async def complete(engine: LlamaEngine, prompt: str | list[int], max_tokens: int = 16, **more: Any) -> Answer:
    tokens = await engine.tokenize(prompt) if isinstance(prompt, str) else prompt
    more.setdefault("temperature", 0.0)
    request = Completion(prompt=tokens, max_tokens=max_tokens, **more)
    return Answer([event async for batch in engine.complete(request) for event in batch])


async def drain(events: AsyncIterator[object]) -> None:
    async for _ in events:
        pass


async def busy_slots(engine: LlamaEngine) -> int:
    async with (
        engine._supervisor.use() as endpoint,
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {endpoint.key}"}) as session,
        session.get(f"{endpoint.url}/slots") as answer,
    ):
        return sum(slot["is_processing"] for slot in await answer.json())


async def test_greedy_text_and_usage(make: Make) -> None:
    engine = make()
    assert engine.status.child.state == "stopped", "nothing starts before it is asked for"
    prompt = await engine.tokenize("The capital of France is")
    answer = await complete(engine, prompt, 8)
    assert "Paris" in answer.text
    assert (answer.end.reason, answer.end.prompt_tokens, answer.end.completion_tokens) == ("length", len(prompt), 8)
    assert sum(piece.count for piece in answer.pieces) == 8
    assert await engine.detokenize(answer.tokens) == answer.text
    assert (await complete(engine, prompt, 8)).text == answer.text
    assert (engine.status.running, engine.status.kv_reserved) == (0, 0)


async def test_tokens_templates_and_middles(make: Make) -> None:
    engine = make()
    text = "Hi <|im_end|> 👩‍👧 ñ"
    assert await engine.detokenize(await engine.tokenize(text)) == text
    assert len(await engine.tokenize("<|im_end|>")) > 1
    assert await engine.tokenize("<|im_end|>", special=True) == [2]
    rendered = await engine.render([{"role": "user", "content": "Hi"}])
    assert rendered.endswith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")
    said = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "One"}]
    ended = "<|im_start|>assistant\nOne<|im_end|>\n<|im_start|>assistant\n"
    assert (await engine.render(said)).endswith(ended), "what was said is not written on"
    assert (await engine.render([*said, {"role": "assistant", "content": "Two"}])).endswith(
        "One<|im_end|>\n<|im_start|>assistant\nTwo<|im_end|>\n<|im_start|>assistant\n"
    )
    with pytest.raises(ValueError, match="content"):
        await engine.render([{"role": "user"}])
    assert await engine.start_tokens() == []
    assert await engine.infill_prompt("a", "b") is None


async def test_the_chat_ends_by_itself_and_stop_sequences_stop(make: Make) -> None:
    engine = make()
    prompt = await engine.tokenize(await engine.render([{"role": "user", "content": "Say hello."}]), special=True)
    ended = await complete(engine, prompt, 200)
    assert ended.end.reason == "stop"
    assert ended.end.stop_sequence is None
    word = ended.text.split()[2]
    stopped = await complete(engine, prompt, 200, stop=["never this", word])
    assert stopped.end.stop_sequence == word
    assert stopped.text == ended.text[: ended.text.index(word)]


async def test_sampling_is_the_deployments_unless_asked(make: Make) -> None:
    engine = make(defaults=DecodingDefaults(temperature=0.0))
    prompt = await engine.tokenize("Once upon a time")
    greedy = (await complete(engine, prompt, 12)).text
    assert (await complete(engine, prompt, 12, temperature=None)).text == greedy
    hot = {"temperature": 2.0, "seed": 7}
    once, again = [await complete(engine, prompt, 12, **hot) for _ in range(2)]
    assert once.text == again.text
    assert once.text != greedy
    banned = await complete(
        engine, prompt, 12, logit_bias=dict.fromkeys((await complete(engine, prompt, 1)).tokens, -100.0)
    )
    assert banned.text != greedy


async def test_logprobs(make: Make) -> None:
    engine = make()
    answer = await complete(engine, "The capital of France is", 6, logprobs=3)
    assert len(answer.logprobs) == 6
    for one in answer.logprobs:
        assert len(one.top) == 3
        assert one.top[0].id == one.id, "greedy takes the likeliest"
        assert one.logprob <= 0
        assert bytes(one.bytes).decode() == one.token
    alone = await complete(engine, "The capital of France is", 6, logprobs=0)
    assert [one.top for one in alone.logprobs] == [[]] * 6
    assert [one.logprob for one in alone.logprobs] == pytest.approx([one.logprob for one in answer.logprobs], abs=0.05)


async def test_characters_are_never_split(make: Make) -> None:
    engine = make()
    text = "👩‍👩‍👧 本𝔘é"
    grammar = f'root ::= "{text}"'
    answer = await complete(engine, "x", 60, grammar=grammar, logprobs=0)
    assert answer.text == text
    assert answer.end.completion_tokens > len(answer.tokens), "some tokens only begin a character"
    for piece in answer.pieces:
        piece.text.encode()
        assert "\ufffd" not in piece.text
    cut = await complete(engine, "x", 1, grammar=grammar)
    assert (cut.text, cut.end.completion_tokens) == ("", 1)


async def test_the_prefix_that_is_reused_is_told(make: Make) -> None:
    engine = make()
    prompt = (await engine.tokenize("All work and no play makes Jack a dull boy. " * 70))[:600]
    assert len(prompt) == 600
    first = await complete(engine, prompt, 2)
    assert first.end.cached_tokens == 0
    second = await complete(engine, [*prompt, 42], 2)
    assert 590 <= second.end.cached_tokens <= 600
    assert second.end.prefill_ms < first.end.prefill_ms


async def test_nobody_reuses_what_was_computed_for_another_tenant(make: Make) -> None:
    """Neither the count nor the time may tell that somebody else has sent the same text."""
    engine = make(slots=2, prompt_cache_mib=64)
    prompt = (await engine.tokenize("The launch code is 9912-alpha, and nobody may know. " * 30))[:300]
    alone = [(await complete(engine, prompt, 2, tenant="a")).end.cached_tokens for _ in range(2)]
    assert alone[0] == 0 < 290 <= alone[1]
    other = [(await complete(engine, prompt, 2, tenant="b")).end.cached_tokens for _ in range(2)]
    assert other[0] == 0 < 290 <= other[1]
    assert (await complete(engine, prompt, 2, tenant="c")).end.cached_tokens == 0
    scored = await engine.prompt_logprobs(prompt[:20], tenant="d")
    assert len(scored) == 20
    both = await asyncio.gather(*(complete(engine, prompt, 2, tenant=tenant) for tenant in "ef"))
    assert [answer.end.cached_tokens for answer in both] == [0, 0]
    assert (await complete(engine, prompt, 2, tenant="f")).end.cached_tokens >= 290


async def test_schemas_bind(make: Make) -> None:
    engine = make()
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 10}, "big": {"type": "boolean"}},
        "required": ["city", "big"],
        "additionalProperties": False,
    }
    for _ in range(2):  # The second time it is known to work.
        answer = await complete(engine, "Paris as JSON:", 200, grammar=of_schema(schema))
        value = json.loads(answer.text)
        assert set(value) == {"city", "big"}
        assert isinstance(value["big"], bool)
    lark = await complete(engine, "abc", 20, grammar='%llguidance {}\nstart: "x" /[0-9]{3}/')
    assert lark.text[0] == "x"
    assert lark.text[1:].isdigit()


@pytest.mark.parametrize(
    ("constraint", "message"),
    [
        ({"grammar": "root ::= nothing"}, "parse grammar"),
        ({"grammar": "%llguidance {}\nstart: nothing"}, "unknown name"),
        ({"grammar": of_schema({"type": "foo"})}, "Invalid type: foo"),
        ({"grammar": of_schema({"$ref": "#/nope"})}, "nope"),
        ({"grammar": of_schema({"type": "array", "uniqueItems": True})}, "uniqueItems"),
        ({"grammar": of_schema({"type": "string", "pattern": "^(?=a)b$"})}, "look-around"),
    ],
)
async def test_a_constraint_that_does_not_bind_is_refused(make: Make, constraint: Any, message: str) -> None:
    engine = make()
    with pytest.raises(BadConstraint, match=message) as told:
        await complete(engine, "x", 4, **constraint)
    assert "%llguidance {}" not in str(told.value), "the engine's own wrapping is not the client's"
    assert (await complete(engine, "x", 4)).end.completion_tokens == 4


async def test_a_prompt_beyond_the_trained_window_passes_through(make: Make) -> None:
    """Positions scaled for 128k, of a model that is said to be trained on 512, so that the test need not be long."""
    engine = make(window=131_072, kv_tokens=1_024, slots=1, rope=Rope(trained_window=512))
    prompt = await engine.tokenize("The quick brown fox jumps over the lazy dog. " * 100)
    answer = await complete(engine, prompt[:900], 4)
    assert (answer.end.prompt_tokens, answer.end.completion_tokens) == (900, 4)
    assert answer.text.strip()


async def test_what_never_fits_is_refused_before(make: Make) -> None:
    engine = make()
    assert engine.window == 2048
    for prompt, max_tokens in [([5] * 2000, 49), ([5] * 3000, 1), ([], 1), ([5], -1), ([10**6], 1)]:
        with pytest.raises(ValueError, match=r"."):
            await complete(engine, prompt, max_tokens)
    assert (await complete(engine, [5], 0)).end.completion_tokens == 0


async def freed_in_a_second(engine: LlamaEngine) -> bool:
    """The contract, not a speed: the engine stops within a second of the client that leaves."""
    began = time.monotonic()
    async with asyncio.timeout(60):
        while await busy_slots(engine):
            await asyncio.sleep(0.01)
    return time.monotonic() - began < 1


@pytest.mark.parametrize("how", ["close", "cancel"])
async def test_who_leaves_frees_the_slot(make: Make, how: str) -> None:
    engine = make()
    request = Completion(
        prompt=await engine.tokenize("Once upon a time"), max_tokens=1900, logit_bias={0: -100, 2: -100}
    )

    async def read(begun: asyncio.Event) -> None:
        async with contextlib.aclosing(engine.complete(request)) as events:
            async for _ in events:
                begun.set()
                if how == "close":
                    return

    for attempt in range(3):  # the machine may stand still for a moment, but not each time
        begun = asyncio.Event()
        task = asyncio.create_task(read(begun))
        await begun.wait()
        if how == "cancel":
            assert await busy_slots(engine) == 1
            task.cancel()
        await asyncio.wait([task])
        freed = await freed_in_a_second(engine)
        assert (engine.status.running, engine.status.kv_reserved) == (0, 0)
        if freed:
            return
        assert attempt < 2


async def test_who_leaves_during_a_long_prompt_frees_the_slot(make: Make) -> None:
    engine = make(batch=32)
    await engine.start()
    for attempt in range(3):
        # Another prompt each time: what was read of one before would be read no more.
        request = Completion(prompt=[300 + attempt * 7 + at % 5000 for at in range(1900)], max_tokens=10)
        task = asyncio.create_task(drain(engine.complete(request)))
        while not await busy_slots(engine):
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])
        if await freed_in_a_second(engine):
            return
        assert attempt < 2


async def test_more_requests_than_slots_all_get_their_own_answer(make: Make) -> None:
    engine = make(slots=3)
    prompts = [await engine.tokenize(f"The number after {n} is") for n in range(9)]
    alone = [(await complete(engine, prompt, 5)).end.prompt_tokens for prompt in prompts]
    together = await asyncio.gather(*(complete(engine, prompt, 5) for prompt in prompts))
    assert [answer.end.prompt_tokens for answer in together] == alone
    assert all(answer.end.completion_tokens == 5 for answer in together)


async def test_a_full_queue_is_told_at_once(make: Make) -> None:
    engine = make(slots=1, max_queue=1)
    prompt = await engine.tokenize("Once upon a time")
    running, waiting = [
        asyncio.create_task(complete(engine, prompt, 60, logit_bias={0: -100, 2: -100})) for _ in range(2)
    ]
    while engine.status.queued < 1:
        await asyncio.sleep(0.01)
    with pytest.raises(EngineBusy):
        await complete(engine, prompt, 1)
    assert (await running).end.completion_tokens == (await waiting).end.completion_tokens == 60


async def test_a_cache_too_small_for_all_costs_time_but_no_answer(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inhouse.engines.llama.engine.GROWTH", 80)
    lost: list[Run] = []
    lose_place = Run.lose_place

    async def watched(run: Run, tokenize: Any) -> Finished | None:
        lost.append(run)
        return await lose_place(run, tokenize)

    monkeypatch.setattr(Run, "lose_place", watched)
    engine = make(kv_tokens=256, slots=4)
    prompts = [await engine.tokenize(f"Chapter {n}. Once upon a time there was") for n in range(4)]
    answers = await asyncio.gather(
        *(complete(engine, prompt, 170, logit_bias={0: -100.0, 2: -100.0}) for prompt in prompts)
    )
    for answer in answers:
        assert answer.end.reason == "length"
        assert answer.end.completion_tokens == 170
        assert sum(piece.count for piece in answer.pieces) == 170
    assert lost, "the cache was too small for all at once"
    assert not any("Context size" in line for line in engine._supervisor.log_lines)
    assert engine.status.child.restarts == 0


async def test_even_an_overflow_of_the_engine_costs_no_answer(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = make(kv_tokens=256, slots=4)
    monkeypatch.setattr(engine, "_keep", lambda *_: True)
    monkeypatch.setattr("inhouse.engines.llama.engine.GROWTH", 70)
    prompts = [await engine.tokenize(f"Chapter {n}. Once upon a time there was") for n in range(3)]
    answers = await asyncio.gather(
        *(complete(engine, prompt, 150, logit_bias={0: -100.0, 2: -100.0}) for prompt in prompts)
    )
    assert [answer.end.completion_tokens for answer in answers] == [150] * 3
    assert any("Context size" in line for line in engine._supervisor.log_lines)


async def test_death_in_mid_stream_is_told_and_the_next_request_served(make: Make) -> None:
    engine = make()
    request = Completion(
        prompt=await engine.tokenize("Once upon a time"), max_tokens=1900, logit_bias={0: -100, 2: -100}
    )
    pid = engine.status.child.pid
    assert pid is not None
    events = engine.complete(request)
    await anext(events)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(EngineFailed, match="SIGKILL"):
        await drain(events)
    assert (await complete(engine, "Hello", 3)).end.completion_tokens == 3
    assert engine.status.child.restarts == 1


async def test_weights_that_are_none(tmp_path: Path, smollm2: Path) -> None:
    cut = tmp_path / "cut.gguf"
    with smollm2.open("rb") as file:
        cut.write_bytes(file.read(20 << 20))
    with pytest.raises(BadGGUF, match="cut off"):
        LlamaEngine(LlamaSpec(path=str(cut)))
    engine = LlamaEngine(LlamaSpec(path=str(smollm2), lora=[Lora(path=str(tmp_path / "none.gguf"))]))
    with pytest.raises(EngineFailed, match="did not start"):
        await engine.start()
    assert engine.status.child.state == "failed"
    await engine.close()


async def test_idle_unload_and_back(make: Make) -> None:
    engine = make(idle=0.2)
    await complete(engine, "Hello", 2)
    while engine.status.child.state != "stopped":
        await asyncio.sleep(0.02)
    assert (await complete(engine, "Hello", 2)).end.completion_tokens == 2


async def test_scores_of_a_prompt_are_those_of_generating_it(make: Make) -> None:
    engine = make()
    prompt = await engine.tokenize("The capital of France is")
    answer = await complete(engine, prompt, 8, logprobs=2)
    scores = await engine.prompt_logprobs(prompt + answer.tokens, 2)
    assert scores[0] is None
    assert [one.id for one in scores[1:] if one] == (prompt + answer.tokens)[1:]
    mine, theirs = scores[len(prompt) :], answer.logprobs
    assert [one.logprob for one in mine if one] == pytest.approx([one.logprob for one in theirs], abs=0.05)
    assert [one.top[0].token for one in mine if one] == [one.top[0].token for one in theirs]


async def test_scores_of_tokens_that_are_no_whole_characters(make: Make) -> None:
    engine = make()
    tokens = await engine.tokenize("x 👩‍👧")
    scores = await engine.prompt_logprobs(tokens)
    assert [one.id for one in scores[1:] if one] == tokens[1:]
    assert b"".join(bytes(one.bytes) for one in scores[1:] if one).decode() == " 👩‍👧"
    with pytest.raises(ValueError, match="at most 2048 tokens"):
        await engine.prompt_logprobs([5] * 2049)


async def test_a_prompt_longer_than_what_idle_slots_leave(make: Make) -> None:
    engine = make(kv_tokens=512, slots=4)
    for start in range(300, 900, 100):
        answer = await complete(engine, list(range(start, start + 350)), 10, logit_bias={0: -100.0, 2: -100.0})
        assert answer.end.completion_tokens == 10
