from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import coverage_score as coverage
import pytest
from document import document

from official_surface import OUTPUT, digest

PROMISED = ("chat_completions", "completions_legacy", "models")
OFFICIAL = json.loads(OUTPUT.read_bytes())
# Of the rest one family will do: all of them take seconds.
OFFICIAL["operations"] = {
    key: operation
    for key, operation in OFFICIAL["operations"].items()
    if operation["family"] in (*PROMISED, "embeddings")
}
Spoil = Callable[[dict[str, Any]], object]


def score(spoil: Spoil = lambda _: None) -> dict[str, coverage.Family]:
    """Of our hand-made document after something was done to its components, or to its paths."""
    ours = document()
    spoil(ours["components"]["schemas"] | ours["paths"])
    return {family.name: family for family in coverage.score(OFFICIAL, digest(ours))}


def test_the_shapes_of_the_promised_families_are_complete() -> None:
    families = score()
    for name in PROMISED:
        assert families[name].missing == []
        assert families[name].complete
        assert families[name].operations[1] > 0
    chat = families["chat_completions"]
    assert chat.operations == (6, 6)
    assert chat.properties["request"][1] > 150
    assert chat.properties["response"][1] > 400
    assert not families["embeddings"].complete


@pytest.mark.parametrize(
    ("spoil", "missing"),
    [
        (
            lambda s: s["ImageURL"]["properties"].pop("detail"),
            "POST /chat/completions request: messages[](user).content[](image_url).image_url.detail: missing",
        ),
        (
            lambda s: s["CreateChatCompletionRequest"]["properties"].pop("verbosity"),
            "POST /chat/completions request: verbosity: missing",
        ),
        (
            lambda s: s["ImageURL"]["properties"]["detail"]["anyOf"][0].update(enum=["auto", "low", "highest"]),
            "POST /chat/completions request: messages[](user).content[](image_url).image_url.detail: lacks high",
        ),
        (
            lambda s: s["ImageURL"]["properties"].update(detail={"anyOf": [{"type": "string"}, {"type": "null"}]}),
            "POST /chat/completions request: messages[](user).content[](image_url).image_url.detail: values left open",
        ),
        (
            lambda s: s["CreateChatCompletionRequest"]["properties"].update(n={"type": "integer"}),
            "POST /chat/completions request: n: lacks type null",
        ),
        (
            lambda s: s["CreateChatCompletionRequest"]["properties"].update(n={}),
            "POST /chat/completions request: n: type any, officially integer, null",
        ),
        (
            lambda s: s["CreateChatCompletionRequest"]["required"].append("temperature"),
            "POST /chat/completions request: temperature: required, officially optional",
        ),
        (
            lambda s: s["RefusalPart"]["properties"]["type"].update(enum=["rejection"]),
            "POST /chat/completions request: messages[](assistant).content[](refusal).refusal: missing",
        ),
        (
            lambda s: s["DeveloperMessage"]["properties"]["role"].update(enum=["boss"]),
            "POST /chat/completions request: messages[](developer).content: missing",
        ),
        (
            lambda s: s["CompletionUsage"]["properties"].update(total_tokens={"type": "string"}),
            "POST /chat/completions stream: usage.total_tokens: lacks type integer",
        ),
        (
            lambda s: s["CompletionUsage"]["required"].remove("total_tokens"),
            "POST /chat/completions response: usage.total_tokens: can be absent, officially required",
        ),
        (
            lambda s: s["ChatCompletion"]["properties"].update(
                model={"anyOf": [{"type": "string"}, {"type": "integer"}]}
            ),
            "POST /chat/completions response: model: type integer, officially string",
        ),
        (
            lambda s: s["Choice"]["properties"]["finish_reason"].update(enum=["stop", "length", "tool_calls"]),
            "POST /chat/completions response: choices[].finish_reason: lacks content_filter, function_call",
        ),
        (
            lambda s: s["/chat/completions"]["get"]["parameters"].pop(),
            "GET /chat/completions query: metadata: missing",
        ),
        (
            lambda s: s["/chat/completions/{completion_id}"]["get"]["parameters"].clear(),
            "GET /chat/completions/{completion_id} path: completion_id: missing",
        ),
        (
            lambda s: s["/chat/completions"]["post"]["responses"]["200"]["content"].pop("text/event-stream"),
            "POST /chat/completions stream: choices: missing",
        ),
        (lambda s: s["/chat/completions"].pop("get"), "GET /chat/completions: not served"),
    ],
)
def test_what_is_missing_is_seen_where_it_is_missing(spoil: Spoil, missing: str) -> None:
    before = score()["chat_completions"]
    after = score(spoil)["chat_completions"]
    assert missing in after.missing
    assert not after.complete
    counts = [(after.operations, before.operations)]
    counts += [(after.properties[column], before.properties[column]) for column in coverage.COLUMNS]
    assert sum(now[0] for now, _ in counts) < sum(then[0] for _, then in counts)
    assert [now[1] for now, _ in counts] == [then[1] for _, then in counts], "what is official does not change"


def test_a_missing_property_is_one_line_whatever_is_below_it() -> None:
    missing = score(lambda s: s["CreateChatCompletionRequest"]["properties"].pop("web_search_options"))
    assert missing["chat_completions"].missing == ["POST /chat/completions request: web_search_options: missing"]


def test_a_new_required_parameter_breaks_the_contract() -> None:
    def spoil(s: dict[str, Any]) -> None:
        s["CreateChatCompletionRequest"]["properties"]["licence"] = {"type": "string"}
        s["CreateChatCompletionRequest"]["required"].append("licence")

    [line] = score(spoil)["chat_completions"].missing
    assert line == "POST /chat/completions request: licence: required, officially unknown"


def test_what_only_we_have_is_told_and_does_not_count() -> None:
    models = score()["models"]
    assert "GET /models/{model} response: served_by" in models.extra
    assert models.complete


@pytest.fixture(autouse=True)
def _promises(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the document here, not of the whole API."""
    promises = tmp_path_factory.mktemp("promises") / "coverage.toml"
    promises.write_text(f"complete = {json.dumps(PROMISED)}")
    monkeypatch.setattr(coverage, "PROMISES", promises)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    status = coverage.main(list(arguments))
    return status, capsys.readouterr().out


@pytest.fixture
def promises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the families that the document by hand has."""
    path = tmp_path / "coverage.toml"
    path.write_text('complete = ["chat_completions", "completions_legacy", "models"]')
    monkeypatch.setattr(coverage, "PROMISES", path)


@pytest.mark.usefixtures("promises")
def test_the_command_fails_when_a_promise_is_broken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ours = document()
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(ours))
    status, out = run(capsys, str(path))
    assert status == 0
    assert "models *" in out

    del ours["components"]["schemas"]["Model"]["properties"]["owned_by"]
    path.write_text(json.dumps(ours))
    status, out = run(capsys, str(path))
    assert status == 1
    assert "GET /models response: data[].owned_by: missing" in out


def test_a_family_can_be_promised_apart_from_some_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    promises, path = tmp_path / "coverage.toml", tmp_path / "openapi.json"
    monkeypatch.setattr(coverage, "PROMISES", promises)
    ours = document()
    del ours["paths"]["/models/{model}"]
    path.write_text(json.dumps(ours))
    promises.write_text('complete = []\n[apart_from]\nmodels = ["/models/{model}"]')
    status, out = run(capsys, str(path))
    assert status == 0
    assert "models +" in out
    del ours["components"]["schemas"]["Model"]["properties"]["owned_by"]
    path.write_text(json.dumps(ours))
    assert run(capsys, str(path))[0] == 1


@pytest.mark.usefixtures("promises")
def test_the_command_reads_stdin_and_lists_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(document())))
    status, out = run(capsys, "-", "--missing", "embeddings", "models")
    assert status == 0
    assert "POST /embeddings: not served" in out
    assert "models: nothing is missing" in out
    assert "not served" not in out.replace("POST /embeddings: not served", "")


def test_a_promise_of_an_unknown_family_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    promises = tmp_path / "coverage.toml"
    promises.write_text('complete = ["chat_completion"]')
    monkeypatch.setattr(coverage, "PROMISES", promises)
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(document()))
    with pytest.raises(SystemExit, match="2"):
        coverage.main([str(path)])
