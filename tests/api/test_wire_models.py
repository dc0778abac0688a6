from __future__ import annotations

import msgspec
from openai.types import Model as SDKModel
from openai.types import ModelDeleted as SDKModelDeleted

from inhouse.api.models import wire


def test_the_sdk_takes_models() -> None:
    page = wire.ModelList(
        data=[
            wire.Model(
                id="gpt-4.1",
                created=1,
                owned_by="openai",
                served_by="Qwen2.5 on llama.cpp, this machine",
                context_window=1_047_576,
                deployed_window=32_768,
                window_strategy="read",
                window_reads="up to 1,500 tokens of passages",
            ),
            wire.Model(id="o3-mini", created=1, owned_by="openai", shutdown_date="2030-01-01"),
        ]
    )
    sent = msgspec.json.decode(msgspec.json.encode(page))
    assert sent["object"] == "list"
    first, second = (SDKModel.model_validate(model, strict=True) for model in sent["data"])
    assert first.model_extra == {
        "served_by": "Qwen2.5 on llama.cpp, this machine",
        "context_window": 1_047_576,
        "deployed_window": 32_768,
        "window_strategy": "read",
        "window_reads": "up to 1,500 tokens of passages",
    }
    assert second.shutdown_date == "2030-01-01"
    assert sent["data"][1]["served_by"] is None


def test_the_sdk_takes_a_deletion() -> None:
    deleted = SDKModelDeleted.model_validate_json(msgspec.json.encode(wire.ModelDeleted(id="ft:a")), strict=True)
    assert deleted.model_dump() == {"id": "ft:a", "deleted": True, "object": "model"}
