"""The list of models."""

from __future__ import annotations

import pytest
from openai import NotFoundError, OpenAI, PermissionDeniedError

from .running import Server

NAMES = [
    "gpt-4.1",
    "gpt-4.1-2025-04-14",
    "gpt-4.1-mini",
    "gpt-4.1-mini-2025-04-14",
    "gpt-4.1-nano",
    "gpt-4.1-nano-2025-04-14",
    "gpt-3.5-turbo-instruct",
]


def test_the_list(client: OpenAI) -> None:
    models = {model.id: model for model in client.models.list()}
    assert set(NAMES) <= set(models)
    assert "gpt-4o" not in models  # nothing serves it here
    for model in models.values():
        assert model.object == "model"
        assert model.owned_by
        assert model.created > 1_600_000_000
    engines = {
        "text-embedding-3-small": "ONNX Runtime",
        "omni-moderation-latest": "ONNX Runtime",
        "whisper-1": "faster-whisper",
        "tts-1": "ONNX Runtime",
    } | dict.fromkeys(NAMES, "llama.cpp")
    for name, engine in engines.items():
        assert models[name].model_dump()["served_by"].endswith(f" on {engine}, this machine")


@pytest.mark.parametrize("name", NAMES)
def test_one_model(client: OpenAI, name: str) -> None:
    listed = next(model for model in client.models.list() if model.id == name)
    assert client.models.retrieve(name) == listed


@pytest.mark.parametrize("name", ["nope", "gpt-4o", "gpt-4.1-2020-01-01", "gpt-4.1/x", "ft:gpt-4.1:x::y"])
def test_a_model_that_is_not_here(client: OpenAI, name: str) -> None:
    """Whether the name is unknown or nothing serves the model here: for a client they are the same."""
    calls = [
        lambda: client.models.retrieve(name),
        lambda: client.chat.completions.create(model=name, messages=[{"role": "user", "content": "Hi"}]),
    ]
    if name != "gpt-4o":
        calls.append(lambda: client.models.delete(name))  # type: ignore[arg-type,return-value]
    for call in calls:
        with pytest.raises(NotFoundError) as refused:
            call()
        error = refused.value
        assert error.body == {
            "message": f"The model `{name}` does not exist or you do not have access to it.",
            "type": "invalid_request_error",
            "param": "model",
            "code": "model_not_found",
        }


def test_the_catalogs_own_models_cannot_be_deleted(client: OpenAI) -> None:
    with pytest.raises(PermissionDeniedError) as refused:
        client.models.delete("gpt-4.1")
    assert refused.value.type == "invalid_request_error"
    assert client.models.retrieve("gpt-4.1").id == "gpt-4.1"


def test_every_project_sees_them(stranger: OpenAI) -> None:
    assert set(NAMES) <= {model.id for model in stranger.models.list()}


def test_the_page_and_the_list_tell_the_same(server: Server, client: OpenAI) -> None:
    """Honest on both sides: what serves the model here."""
    served = client.models.retrieve("gpt-4.1").model_dump()["served_by"]
    page = server.http("GET", "/models/gpt-4.1", headers={"authorization": None})
    assert page.status == 200
    assert served.split(" on ")[0] in page.body.decode()
