"""Files as input of Chat Completions and Responses."""

from __future__ import annotations

import base64
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from aiohttp import web
from openai import AsyncOpenAI, BadRequestError, NotFoundError
from PIL import Image
from tests.documents import making
from tests.scripted import Say, ScriptedEngine
from tests.upstreams import scripted_upstream
from tests.walking import Walk, walking

from inhouse.generation import inputs

PDF = making.pdf("The quick brown fox jumps", "over the lazy dog today")
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture
async def walk(tmp_path: Path) -> AsyncIterator[Walk]:
    async with walking(tmp_path, files__fetch="any") as walk:
        yield walk


@pytest.fixture
def engine(walk: Walk) -> ScriptedEngine:
    engine: ScriptedEngine = walk.engine(ScriptedEngine(lambda request: Say(["ok"])))
    return engine


async def sdk(walk: Walk) -> AsyncOpenAI:
    key = (await walk.platform.access.create_key("test")).secret
    http = httpx.AsyncClient(transport=httpx.ASGITransport(app=walk.platform))
    return AsyncOpenAI(api_key=key, base_url="http://test/v1", http_client=http, max_retries=0)


@pytest.fixture
async def client(walk: Walk, engine: ScriptedEngine) -> AsyncOpenAI:
    return await sdk(walk)


@pytest.fixture
async def site() -> AsyncIterator[str]:
    """A web site on this machine."""

    async def serve(request: web.Request) -> web.Response:
        match request.path:
            case "/report.pdf":
                return web.Response(body=PDF, content_type="application/pdf")
            case "/plain":
                return web.Response(text="plain words")
            case "/away":
                return web.Response(status=302, headers={"location": "/plain"})
            case "/round":
                return web.Response(status=302, headers={"location": "/round"})
            case "/file":
                return web.Response(status=302, headers={"location": "file:///etc/passwd"})
            case "/large":
                return web.Response(body=b"x" * (51 * 1024 * 1024), content_type="text/plain")
        return web.Response(status=404)

    app = web.Application()
    app.router.add_get("/{path:.*}", serve)
    runner = web.AppRunner(app)
    await runner.setup()
    listening = web.TCPSite(runner, "127.0.0.1", 0)
    await listening.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


def prompt(engine: ScriptedEngine) -> str:
    return "".join(map(chr, (token for token in engine.asked[-1].prompt if token < 0x110000)))


def data_url(data: bytes, media_type: str = "application/pdf") -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


async def ask(client: AsyncOpenAI, **file: Any) -> Any:
    content: list[Any] = [{"type": "text", "text": "What is it?"}, {"type": "file", "file": file}]
    return await client.chat.completions.create(
        model="gpt-4.1", messages=[{"role": "user", "content": content}], max_completion_tokens=5
    )


async def respond(client: AsyncOpenAI, *parts: dict[str, Any], **more: Any) -> Any:
    content: list[Any] = [{"type": "input_text", "text": "What is it?"}, *parts]
    return await client.responses.create(
        model="gpt-4.1", input=[{"role": "user", "content": content}], max_output_tokens=16, **more
    )


async def test_an_uploaded_file_in_chat(client: AsyncOpenAI, engine: ScriptedEngine) -> None:
    file = await client.files.create(file=("report.pdf", PDF), purpose="user_data")
    answer = await ask(client, file_id=file.id)
    told = prompt(engine)
    assert "File: report.pdf" in told
    assert "[Page 1]\nThe quick brown fox jumps" in told
    assert "[Page 2]\nover the lazy dog today" in told
    assert answer.usage.prompt_tokens == len(engine.asked[-1].prompt)


@pytest.mark.parametrize("data", [data_url(PDF), base64.b64encode(PDF).decode()])
async def test_data_in_chat(client: AsyncOpenAI, engine: ScriptedEngine, data: str) -> None:
    await ask(client, file_data=data, filename="report.pdf")
    assert "File: report.pdf\n\n[Page 1]\nThe quick" in prompt(engine)


@pytest.mark.parametrize("name", ["a.docx", "a.csv", "a.md", "A.PY", "a.html"])
async def test_many_kinds(client: AsyncOpenAI, engine: ScriptedEngine, name: str) -> None:
    make, expected = making.GOOD[name]
    await ask(client, file_data=data_url(make(), ""), filename=name)
    assert expected in prompt(engine)


async def test_every_way_in_responses(client: AsyncOpenAI, engine: ScriptedEngine, site: str) -> None:
    file = await client.files.create(file=("notes.txt", b"words in notes"), purpose="user_data")
    await respond(
        client,
        {"type": "input_file", "file_id": file.id},
        {"type": "input_file", "file_data": data_url(PDF), "filename": "given.pdf"},
        {"type": "input_file", "file_url": f"{site}/report.pdf"},
        {"type": "input_file", "file_url": f"{site}/away"},
    )
    told = prompt(engine)
    for expected in ("File: notes.txt\n\nwords in notes", "File: given.pdf", "File: report.pdf", "plain words"):
        assert expected in told


async def test_a_conversation_goes_on_with_its_file(client: AsyncOpenAI, engine: ScriptedEngine) -> None:
    file = await client.files.create(file=("notes.txt", b"words in notes"), purpose="user_data")
    first = await respond(client, {"type": "input_file", "file_id": file.id})
    await client.responses.create(model="gpt-4.1", input="And now?", previous_response_id=first.id)
    assert "words in notes" in prompt(engine)
    await client.files.delete(file.id)
    with pytest.raises(NotFoundError):
        await client.responses.create(model="gpt-4.1", input="And now?", previous_response_id=first.id)


async def test_tokens_of_files_are_counted(client: AsyncOpenAI) -> None:
    text = "x" * 500
    content: Any = [{"type": "input_file", "file_data": data_url(text.encode(), "text/plain"), "filename": "a.txt"}]
    counted = await client.responses.input_tokens.count(model="gpt-4.1", input=[{"role": "user", "content": content}])
    assert counted.input_tokens > 500


async def test_another_projects_file_does_not_exist(walk: Walk, client: AsyncOpenAI) -> None:
    spool = walk.platform.files.spool()
    await spool.write(b"their secret")
    theirs = await walk.platform.files.add("proj_other", spool, filename="a.txt", purpose="user_data")
    with pytest.raises(NotFoundError, match=f"No such File object: {theirs.id}") as refused:
        await ask(client, file_id=theirs.id)
    assert refused.value.param == "messages[0].content[1].file.file_id"
    for part in ({"type": "input_file"}, {"type": "input_image"}):
        with pytest.raises((NotFoundError, BadRequestError)):
            await respond(client, {**part, "file_id": theirs.id})


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({}, "messages[0].content[1].file", "Missing required parameter"),
    ({"file_data": "!!", "filename": "a.pdf"}, "messages[0].content[1].file.file_data", "base64-encoded"),
    ({"file_data": data_url(b"x", "image/png"), "filename": "a.png"}, "messages[0].content[1].file", ".pdf, "),
    ({"file_data": data_url(b"%PDF-1.4 broken"), "filename": "a.pdf"}, "messages[0].content[1].file", "damaged"),
    ({"file_data": data_url(b" "), "filename": "a.txt"}, "messages[0].content[1].file", "no text"),
]


@pytest.mark.parametrize(("file", "param", "message"), BAD)
async def test_bad_files(client: AsyncOpenAI, file: dict[str, Any], param: str, message: str) -> None:
    with pytest.raises(BadRequestError) as refused:
        await ask(client, **file)
    assert refused.value.param == param
    assert message in refused.value.message


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/none", "Upstream status code: 404."),
        ("/round", "too many redirects"),
        ("/file", "Only http and https"),
        ("/large", "is larger than 52428800 bytes"),
    ],
)
async def test_urls_that_cannot_be_had(client: AsyncOpenAI, site: str, path: str, message: str) -> None:
    with pytest.raises(BadRequestError, match=message) as refused:
        await respond(client, {"type": "input_file", "file_url": site + path})
    assert refused.value.param == "input[0].content[1].file_url"


ANSWER = {
    "id": "x",
    "object": "chat.completion",
    "created": 1,
    "model": "theirs",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "A dot"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
}


async def test_images_by_id_go_to_upstreams_that_see(walk: Walk) -> None:
    client = await sdk(walk)
    file = await client.files.create(file=("dot.png", PNG), purpose="vision")
    bad = await client.files.create(file=("dot.png", b"no image"), purpose="vision")
    text = await client.files.create(file=("a.txt", b"words in notes"), purpose="user_data")
    async with scripted_upstream() as upstream:
        upstream.answer = ANSWER
        await walk.upstream(upstream.url)
        answer = await respond(
            client,
            {"type": "input_image", "file_id": file.id, "detail": "low"},
            {"type": "input_file", "file_id": text.id},
        )
        assert answer.output_text == "A dot"
        parts = upstream.bodies[-1]["messages"][-1]["content"]
        assert parts[1] == {"type": "image_url", "image_url": {"url": data_url(PNG, "image/png"), "detail": "low"}}
        assert parts[2] == {"type": "text", "text": "File: a.txt\n\nwords in notes\n"}
        with pytest.raises(BadRequestError, match="unsupported image"):
            await respond(client, {"type": "input_image", "file_id": bad.id})


async def test_embedded_models_do_not_see(client: AsyncOpenAI) -> None:
    file = await client.files.create(file=("dot.png", PNG), purpose="vision")
    with pytest.raises(BadRequestError, match="image_url is only supported by certain models"):
        await respond(client, {"type": "input_image", "file_id": file.id})


def size_of(part: Any) -> tuple[int, int]:
    kind, _, data = part["image_url"]["url"].partition(",")
    assert kind == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        return image.size


async def test_pages_of_a_pdf_are_looked_at_where_the_deployment_sees(
    walk: Walk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "MOST_IMAGES", 3)
    client = await sdk(walk)
    four = making.pdf("one", "two", "three", "four")
    drawing = making.pdf("")
    async with scripted_upstream() as upstream:
        upstream.answer = ANSWER
        await walk.upstream(upstream.url, vision=True)
        await ask(client, file_data=data_url(PDF), filename="report.pdf")
        question, first, page, second, other = upstream.bodies[-1]["messages"][-1]["content"]
        assert question["text"] == "What is it?"
        assert first["text"] == "File: report.pdf\n\n[Page 1]\nThe quick brown fox jumps\n"
        assert second["text"] == "[Page 2]\nover the lazy dog today\n"
        assert {size_of(page), size_of(other)} == {(768, 1087)}
        # Of all files of a request some pages are images; the others are text, as is what is no PDF.
        await respond(
            client,
            {"type": "input_file", "file_data": data_url(drawing), "filename": "drawing.pdf", "detail": "low"},
            {"type": "input_file", "file_data": data_url(four), "filename": "four.pdf", "detail": "high"},
            {"type": "input_file", "file_data": data_url(PDF), "filename": "last.pdf"},
            {"type": "input_file", "file_data": data_url(b"words", "text/plain"), "filename": "a.txt"},
        )
        told = upstream.bodies[-1]["messages"][-1]["content"]
        kinds = [part["type"] for part in told]
        assert kinds == ["text", "text", "image_url", "text", "image_url", "text", "image_url", "text", "text", "text"]
        assert [size_of(told[2])[0], size_of(told[4])[1], told[4]["image_url"]["detail"]] == [512, 2048, "high"]
        assert told[7]["text"] == "[Page 3]\nthree\n\n[Page 4]\nfour\n"
        assert told[8]["text"].startswith("File: last.pdf\n\n[Page 1]\nThe quick")
        await walk.upstream(upstream.url)
        await ask(client, file_data=data_url(PDF), filename="report.pdf")
        assert "image" not in str(upstream.bodies[-1]["messages"][-1]["content"])
        with pytest.raises(BadRequestError, match="no text"):
            await ask(client, file_data=data_url(drawing), filename="drawing.pdf")
