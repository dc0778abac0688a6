"""Guardrails on the whole walk: every face, on an engine and a judge that say what the test wrote."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response
from sqlalchemy import Connection
from tests.scripted import Say, ScriptedEngine
from tests.upstreams import scripted_upstream, whole
from tests.walking import Client, Walk, walking

from inhouse.access.policies import Guardrail
from inhouse.engines.deployments import Remote
from inhouse.engines.hosted import HostedEngine
from inhouse.engines.hosting import HostConfig
from inhouse.engines.moderation.categories import CATEGORIES
from inhouse.engines.moderation.shapes import Classified, Classify
from inhouse.engines.pool import EnginePool
from inhouse.engines.protocol import EngineBusy, EngineFailed
from inhouse.generation.moderation import guarding
from inhouse.storage.schema import policies

CHAT, RESPONSES, COMPLETIONS = "/v1/chat/completions", "/v1/responses", "/v1/completions"
WORDS = {"kill": ("violence", 0.9), "steal": ("illicit", 0.6), "damn": ("harassment", 0.4)}
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
TOOL = {
    "type": "function",
    "function": {"name": "act", "parameters": {"type": "object", "properties": {}, "additionalProperties": True}},
}


class Judge(HostedEngine):
    """Flags words. ``texts`` is all that it was asked about, in order."""

    def __init__(self) -> None:
        super().__init__("moderation", HostConfig(weights=[], slots=1, threads=1))
        self.texts: list[str] = []
        self.images: list[bytes] = []
        self.errors: list[Exception] = []

    async def call(self, path: str, request: Any, answer: Any, **more: Any) -> Any:
        assert isinstance(request, Classify)
        await asyncio.sleep(0)
        if self.errors:
            raise self.errors.pop(0)
        self.texts += request.texts
        self.images += request.images
        scores: list[dict[str, float]] = [dict.fromkeys(CATEGORIES, 0.01) for _ in request.texts]
        for text, found in zip(request.texts, scores, strict=True):
            found.update(WORDS[word] for word in WORDS if word in text)
        return Classified(scores, [{"sexual": 0.7} for _ in request.images], 7)


class Site(msgspec.Struct):
    walk: Walk
    judge: Judge
    engine: ScriptedEngine
    client: Client

    async def guard(self, **guardrail: Any) -> None:
        """The project has these guardrails from now on."""
        [project] = {key.project_id for key in await self.walk.platform.access.list_keys()}
        row = {"scope": project, "guardrail": msgspec.json.encode(Guardrail(**guardrail)).decode()}

        def work(connection: Connection) -> None:
            connection.execute(policies.delete())
            connection.execute(policies.insert(), row)

        await self.walk.platform.database.write(work)
        self.walk.platform.access.forget()

    async def chat(self, said: str = "Hi", **more: Any) -> Any:
        body = {"model": "gpt-4.1", "messages": [{"role": "user", "content": said}], **more}
        return await self.client.post(CHAT, body)

    def says(self, *pieces: str) -> None:
        self.engine.script = lambda request: Say(pieces)

    def metric(self, name: str, **labels: str) -> float:
        found = self.walk.platform.metrics.registry.get_sample_value(name, labels)
        return found or 0.0


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with walking(tmp_path) as walk:
        judge, engine = Judge(), ScriptedEngine(lambda request: Say(["Hel", "lo"]))
        judges = walk.platform.catalog.resolve("omni-moderation-latest", "moderation").deployment.id
        pool = walk.platform.engines

        def get(deployment: Any) -> Any:
            if isinstance(deployment, Remote):
                return EnginePool.get(pool, deployment)
            return judge if deployment.id == judges else engine

        pool.get = get  # type: ignore[method-assign]
        yield Site(walk, judge, engine, await walk.client())


# Off


async def test_without_guardrails_nobody_is_asked(site: Site) -> None:
    answer = await site.chat("kill")
    assert answer.status == 200
    assert "moderation" not in answer.json()
    assert guarding.HEADER not in answer.headers
    assert not site.judge.texts
    assert len(await site.walk.rows()) == 1


# Input


@pytest.mark.parametrize("stream", [False, True])
async def test_flagged_input_is_refused_before_the_model_reads_it(site: Site, stream: bool) -> None:
    await site.guard(input="block")
    answer = await site.chat("I will kill them", stream=stream)
    assert answer.status == 400
    error = answer.json()["error"]
    assert (error["type"], error["code"], error["param"]) == (
        "invalid_request_error",
        "content_policy_violation",
        "messages",
    )
    assert "violence" in error["message"]
    assert not site.engine.asked
    assert site.metric("inhouse_moderated_total", side="input", outcome="blocked") == 1
    assert site.metric("inhouse_moderation_flags_total", side="input", category="violence") == 1
    rows = {row.operation: row for row in await site.walk.rows()}
    assert (rows["createChatCompletion"].status, rows["createChatCompletion"].output_tokens) == (400, 0)
    assert (rows["createModeration"].status, rows["createModeration"].cost_nanos) == (200, 0)
    assert rows["createModeration"].input_tokens == 7


async def test_only_what_users_and_tools_say_is_input(site: Site) -> None:
    await site.guard(input="block")
    made = {"id": "call_1", "type": "function", "function": {"name": "act", "arguments": '{"a": "kill"}'}}
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "Never kill."},
        {"role": "assistant", "content": "I would not kill.", "tool_calls": [made]},
        {"role": "tool", "tool_call_id": "call_1", "content": "done"},
        {"role": "user", "content": "Thanks"},
    ]
    assert (await site.chat(messages=messages, tools=[TOOL])).status == 200
    assert site.judge.texts == ["done", "Thanks"]
    messages[2]["content"] = "go and kill"
    assert (await site.chat(messages=messages, tools=[TOOL])).status == 400


async def test_what_was_judged_before_is_not_judged_again(site: Site) -> None:
    await site.guard(input="block")
    turns = [{"role": "user", "content": "one"}]
    for text in ("two", "three"):
        assert (await site.chat(messages=turns)).status == 200
        turns += [{"role": "assistant", "content": "yes"}, {"role": "user", "content": text}]
    assert site.judge.texts == ["one", "two"]


async def test_a_long_text_is_judged_to_its_end(site: Site) -> None:
    await site.guard(input="block")
    site.engine.window = 10_000_000
    answer = await site.chat("a word " * 20_000 + "kill")
    assert answer.json()["error"]["code"] == "content_policy_violation"


async def test_images_are_judged(site: Site) -> None:
    await site.guard(input="block")
    async with scripted_upstream() as server:
        server.answer = whole({"content": "a cat"})
        await site.walk.upstream(server.url)
        url = "data:image/png;base64," + base64.b64encode(PIXEL).decode()
        part = {"type": "image_url", "image_url": {"url": url}}
        answer = await site.chat(messages=[{"role": "user", "content": [{"type": "text", "text": "what?"}, part]}])
    assert not server.bodies
    assert answer.json()["error"]["code"] == "content_policy_violation"
    assert "sexual" in answer.json()["error"]["message"]
    assert site.judge.images == [PIXEL]


async def test_categories_and_thresholds(site: Site) -> None:
    await site.guard(input="block", categories=("violence", "harassment"), thresholds={"harassment": 0.3})
    assert (await site.chat("steal")).status == 200
    assert "harassment" in (await site.chat("damn")).json()["error"]["message"]
    await site.guard(input="block", thresholds={"violence": 0.95})
    assert (await site.chat("kill")).status == 200
    assert (await site.chat("steal")).status == 400


# Output


async def test_an_answer_ends_before_what_is_flagged(site: Site) -> None:
    await site.guard(output="block")
    harmless = "This is a long sentence about bread and about butter. "
    site.engine.window = 100_000
    site.says(*[harmless] * 50, "Now I ki", "ll you. ", *[harmless] * 90)
    answer = await site.chat()
    [choice] = answer.json()["choices"]
    assert choice["finish_reason"] == "content_filter"
    assert "ki" not in choice["message"]["content"]
    assert answer.headers[guarding.HEADER] == "output=violence"
    assert site.engine.stopped == 1, "the engine does not go on for nobody"
    assert site.metric("inhouse_moderated_total", side="output", outcome="blocked") == 1
    assert answer.json()["usage"]["completion_tokens"] > 0


async def test_a_stream_never_releases_what_is_flagged(site: Site) -> None:
    await site.guard(output="block")
    first = "The oven should be hot before the bread goes in. "
    text = first + "After that I will kill you. And then more follows."
    site.says(*text)
    answer = await site.chat(stream=True, stream_options={"include_usage": True})
    chunks = [ChatCompletionChunk.model_validate(each) for each in answer.events[:-1]]
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert said == first
    assert [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason] == [
        "content_filter"
    ]
    assert chunks[-1].usage is not None
    assert answer.events[-1] == "[DONE]"


async def test_a_stream_is_released_sentence_by_sentence(site: Site) -> None:
    await site.guard(output="block")
    one, two = "A first sentence that is long enough to be judged. ", "A second one that is long enough as well. "
    site.says(*(one + two), "End")
    answer = await site.chat(stream=True)
    said = [each["choices"][0]["delta"].get("content") for each in answer.events[:-1] if each["choices"]]
    assert "".join(filter(None, said)) == one + two + "End"
    assert len(site.judge.texts) == 3
    assert site.judge.texts[1] == one + two, "with the words before it"


async def test_words_over_the_border_of_windows_are_seen(site: Site) -> None:
    await site.guard(output="block")
    text = "x" * (guarding.MOST - 2) + "ki" + "ll"
    site.says(*text)
    answer = await site.chat(stream=True)
    told = [each["choices"][0] for each in answer.events[:-1] if each["choices"]]
    assert "".join(each["delta"].get("content") or "" for each in told) == text[:-2]
    assert told[-1]["finish_reason"] == "content_filter"


async def test_one_choice_is_blocked_and_another_goes_on(site: Site) -> None:
    await site.guard(output="block")
    says = iter([["I kill"], ["I bake"]])
    site.engine.script = lambda request: Say(next(says))
    answer = ChatCompletion.model_validate((await site.chat(n=2)).json())
    found = {(choice.finish_reason, choice.message.content) for choice in answer.choices}
    assert found == {("content_filter", ""), ("stop", "I bake")}


async def test_a_call_leaves_whole_or_not_at_all(site: Site) -> None:
    await site.guard(output="block")
    tool = {**TOOL["function"], "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}}  # type: ignore[dict-item]
    tools = [{"type": "function", "function": tool}]
    site.says('{"name": "act", "arguments": {"a": "ki', 'll"}}')
    for stream in (False, True):
        answer = await site.chat(tools=tools, stream=stream)
        assert "kill" not in answer.text
        assert '"act"' not in answer.text
        assert "content_filter" in answer.text
    site.says('{"name": "act", "arguments": {"a": "bake"}}')
    [choice] = (await site.chat(tools=tools)).json()["choices"]
    assert choice["finish_reason"] == "tool_calls"


async def test_a_client_that_leaves_ends_all(site: Site) -> None:
    await site.guard(output="block")
    site.engine.script = lambda request: Say(["A sentence that is long enough to be let go. "], hangs=True)
    body = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    await asyncio.wait_for(site.client.request("POST", CHAT, body, leave_after=1), 120)
    assert site.engine.running == 0
    assert {row.operation: row.state for row in await site.walk.rows()}.keys() == {
        "createChatCompletion",
        "createModeration",
    }
    assert {row.state for row in await site.walk.rows()} == {"settled"}


# Annotations


async def test_verdicts_are_told_and_nothing_is_held_back(site: Site) -> None:
    await site.guard(input="annotate", output="annotate")
    site.says("I will ", "kill")
    answer = await site.chat("steal")
    told = ChatCompletion.model_validate(answer.json())
    assert told.choices[0].message.content == "I will kill"
    assert told.moderation is not None
    sides = answer.json()["moderation"]
    assert [sides[side]["type"] for side in ("input", "output")] == ["moderation_results"] * 2
    assert sides["input"]["results"][0]["categories"] == {name: name == "illicit" for name in CATEGORIES}
    assert sides["output"]["results"][0]["category_scores"]["violence"] == 0.9
    assert answer.headers[guarding.HEADER] == "input=illicit; output=violence"
    streamed = await site.chat("steal", stream=True, stream_options={"include_usage": True})
    with_verdict = [each for each in streamed.events[:-1] if each.get("moderation")]
    assert with_verdict == [streamed.events[-3]], "one chunk, before that of the usage"
    assert with_verdict[0]["choices"] == []
    assert with_verdict[0]["moderation"] == sides
    assert streamed.headers[guarding.HEADER] == "input=illicit"


async def test_a_side_that_is_not_moderated_says_so(site: Site) -> None:
    await site.guard(output="annotate")
    told = (await site.chat("kill")).json()["moderation"]
    assert told["input"]["type"] == "error"
    assert told["input"]["code"] == "not_moderated"
    assert not told["output"]["results"][0]["flagged"]


# The judge fails


@pytest.mark.parametrize(("error", "status"), [(EngineFailed("gone"), 500), (EngineBusy("full"), 503)])
@pytest.mark.parametrize("side", ["input", "output"])
async def test_where_it_blocks_a_judge_that_fails_lets_nothing_through(
    site: Site, error: Exception, status: int, side: str
) -> None:
    await site.guard(**{side: "block"})
    site.judge.errors = [error]
    answer = await site.chat()
    assert answer.status == status
    assert "Hello" not in answer.text
    assert (await site.chat()).status == 200
    assert site.metric("inhouse_moderated_total", side=side, outcome="failed") == 1


async def test_where_it_annotates_the_failure_is_told(site: Site) -> None:
    await site.guard(input="annotate", output="annotate")
    site.judge.errors = [EngineFailed("gone"), EngineBusy("full")]
    answer = await site.chat()
    assert answer.status == 200
    told = answer.json()["moderation"]
    assert (told["input"]["type"], told["input"]["code"]) == ("error", "server_error")
    assert (told["output"]["type"], told["output"]["code"]) == ("error", "server_is_overloaded")


# Asked for by the request


async def test_the_request_asks_for_scores(site: Site) -> None:
    answer = await site.chat("kill", moderation={"model": "omni-moderation-latest"})
    told = answer.json()
    assert told["choices"][0]["finish_reason"] == "stop"
    assert told["moderation"]["input"]["model"] == "omni-moderation-latest"
    assert told["moderation"]["input"]["results"][0]["flagged"]
    assert not told["moderation"]["output"]["results"][0]["flagged"]


async def test_the_request_asks_for_blocks(site: Site) -> None:
    wanted = {"model": "omni-moderation-latest", "policy": {"input": {"mode": "block"}}}
    assert (await site.chat("kill", moderation=wanted)).json()["error"]["code"] == "content_policy_violation"
    site.says("I kill")
    assert (await site.chat(moderation=wanted)).json()["choices"][0]["message"]["content"] == "I kill"
    wanted["policy"] = {"output": {"mode": "block"}}
    assert (await site.chat(moderation=wanted)).json()["choices"][0]["finish_reason"] == "content_filter"


async def test_the_request_cannot_take_the_projects_guardrails_away(site: Site) -> None:
    await site.guard(input="block", output="block")
    wanted = {"model": "omni-moderation-latest", "policy": {"input": {"mode": "score"}, "output": {"mode": "score"}}}
    assert (await site.chat("kill", moderation=wanted)).status == 400
    site.says("I kill")
    answer = (await site.chat(moderation=wanted)).json()
    assert answer["choices"][0]["finish_reason"] == "content_filter"
    assert answer["moderation"]["output"]["results"][0]["flagged"]


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
async def test_a_model_that_does_not_moderate(site: Site, path: str) -> None:
    for model in ("no-such-model", "gpt-4.1"):
        body = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "Hi"}], "input": "Hi"}
        body.pop("input" if path == CHAT else "messages")
        answer = await site.client.post(path, {**body, "moderation": {"model": model}})
        assert answer.status in (400, 404)
        assert answer.json()["error"]["param"] == "moderation.model"


# The other faces


async def test_responses(site: Site) -> None:
    await site.guard(input="block", output="block")
    body = {"model": "gpt-4.1", "input": "kill"}
    refused = await site.client.post(RESPONSES, body)
    assert (refused.status, refused.json()["error"]["code"]) == (400, "content_policy_violation")
    assert refused.json()["error"]["param"] == "input"
    site.says("I kill")
    answer = (await site.client.post(RESPONSES, {**body, "input": "Hi"})).json()
    told = Response.model_validate(answer)
    assert (told.status, told.incomplete_details and told.incomplete_details.reason) == ("incomplete", "content_filter")
    assert told.output_text == ""
    assert answer["moderation"]["output"]["flagged"]
    assert answer["moderation"]["input"]["type"] == "moderation_result"
    stored = (await site.client.get(f"{RESPONSES}/{answer['id']}")).json()
    assert stored["moderation"] == answer["moderation"]


async def test_a_streamed_response(site: Site) -> None:
    await site.guard(output="block")
    site.says(*"The oven should be hot before the bread goes in. Then I kill.")
    answer = await site.client.post(RESPONSES, {"model": "gpt-4.1", "input": "Hi", "stream": True})
    assert "kill" not in answer.text
    last = answer.events[-1]
    assert last["type"] == "response.incomplete"
    assert last["response"]["incomplete_details"] == {"reason": "content_filter"}
    assert last["response"]["output"][0]["content"][0]["text"] == "The oven should be hot before the bread goes in. "


async def test_a_background_response_is_guarded_too(site: Site) -> None:
    await site.guard(input="block")
    body = {"model": "gpt-4.1", "input": "kill", "background": True}
    made = (await site.client.post(RESPONSES, body)).json()
    async with asyncio.timeout(120):
        while (found := (await site.client.get(f"{RESPONSES}/{made['id']}")).json())["status"] != "failed":
            await asyncio.sleep(0.02)
    assert found["error"]["code"] == "invalid_prompt"


async def test_completions(site: Site) -> None:
    await site.guard(input="block", output="block")
    body: dict[str, Any] = {"model": "gpt-3.5-turbo-instruct", "prompt": "kill", "max_tokens": 90}
    refused = (await site.client.post(COMPLETIONS, body)).json()["error"]
    assert (refused["code"], refused["param"]) == ("content_policy_violation", "prompt")
    body["prompt"] = [ord(letter) for letter in "kill"]
    assert (await site.client.post(COMPLETIONS, body)).status == 400
    body["prompt"] = "Once"
    site.says(*"The oven should be hot before the bread goes in. Then I kill.")
    for stream in (False, True):
        answer = await site.client.post(COMPLETIONS, {**body, "stream": stream})
        assert "kill" not in answer.text
        assert '"finish_reason":"content_filter"' in answer.text.replace('": "', '":"')


async def test_runs_of_assistants(site: Site) -> None:
    await site.guard(input="block")
    beta = await site.walk.client(
        authorization=site.client._headers["authorization"], **{"openai-beta": "assistants=v2"}
    )
    assistant = (await beta.post("/v1/assistants", {"model": "gpt-4.1"})).json()["id"]
    thread = {"messages": [{"role": "user", "content": "kill"}]}
    run = (await beta.post("/v1/threads/runs", {"assistant_id": assistant, "thread": thread})).json()
    async with asyncio.timeout(120):
        while (found := (await beta.get(f"/v1/threads/{run['thread_id']}/runs/{run['id']}")).json())[
            "status"
        ] != "failed":
            await asyncio.sleep(0.02)
    assert found["last_error"]["code"] == "invalid_prompt"


async def test_lines_of_a_batch(site: Site) -> None:
    await site.guard(input="block")
    site.engine.config = HostConfig(weights=[], slots=1, threads=1)  # type: ignore[attr-defined]
    lines = [
        {"custom_id": text, "method": "POST", "url": CHAT, "body": {"model": "gpt-4.1", "messages": messages}}
        for text, messages in ((t, [{"role": "user", "content": t}]) for t in ("bread", "kill"))
    ]
    data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    form = b"--x\r\ncontent-disposition: form-data; name=purpose\r\n\r\nbatch\r\n--x\r\n"
    form += b'content-disposition: form-data; name=file; filename="in.jsonl"\r\n\r\n' + data + b"\r\n--x--\r\n"
    uploading = await site.walk.client(
        authorization=site.client._headers["authorization"], **{"content-type": "multipart/form-data; boundary=x"}
    )
    file = (await uploading.post("/v1/files", form)).json()
    body = {"input_file_id": file["id"], "endpoint": CHAT, "completion_window": "24h"}
    made = (await site.client.post("/v1/batches", body)).json()
    async with asyncio.timeout(120):
        while (found := (await site.client.get(f"/v1/batches/{made['id']}")).json())["status"] != "completed":
            assert found["status"] != "failed", found
            await asyncio.sleep(0.05)
    assert found["request_counts"] == {"total": 2, "completed": 1, "failed": 1}
    errors = (await site.client.get(f"/v1/files/{found['error_file_id']}/content")).json()
    assert errors["custom_id"] == "kill"
    assert errors["response"]["body"]["error"]["code"] == "content_policy_violation"
