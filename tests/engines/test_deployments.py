from __future__ import annotations

import msgspec
import pytest

from inhouse.engines.deployments import Deployment, Embedded, Hosted, Pinned, Remote, deployment_of, weights_of
from inhouse.engines.protocol import DecodingDefaults
from inhouse.engines.upstream import Target, UpstreamSpec
from inhouse.engines.weights import bundled_manifests, find_manifest

EMBEDDED = Embedded(
    weights="small-q4", title="Small", sha256="0" * 64, license="MIT", decoding=DecodingDefaults(temperature=0.5)
)
HOSTED = Hosted(engine="embedding", weights=(Pinned("mini", "0" * 64), Pinned("/x/y.bin")), title="Mini")
REMOTE = Remote(upstream=UpstreamSpec(targets=[Target("https://gpu.example:8000/v1", "llama", "KEY")]))


def test_ids_stay_what_they_are() -> None:
    """``system_fingerprint`` and the ledger rest on them: a change would say that every model changed."""
    assert EMBEDDED.id == "small-q4@539b8897"
    assert HOSTED.id == "mini@9b6bf295"
    assert REMOTE.id == "llama@gpu.example:8000@158d3444"


@pytest.mark.parametrize("deployment", [EMBEDDED, HOSTED, REMOTE])
def test_an_id_survives_the_database(deployment: Embedded | Hosted | Remote) -> None:
    again = msgspec.json.decode(msgspec.json.encode(deployment), type=Deployment)
    assert again == deployment
    assert again.id == deployment.id


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": "1" * 64},
        {"template": "x"},
        {"decoding": DecodingDefaults(temperature=0.6)},
        {"window": 1},
        {"slots": 1},
        {"threads": 1},
        {"kv_tokens": 1},
    ],
)
def test_whatever_decides_answers_is_in_the_id(change: dict[str, object]) -> None:
    assert msgspec.structs.replace(EMBEDDED, **change).id != EMBEDDED.id


def test_ids_are_readable() -> None:
    assert Embedded(weights="/srv/Models/My Model.gguf", title="x").id.startswith("my model@")
    assert Remote(upstream=UpstreamSpec(targets=[Target("http://h/v1")])).id.startswith("upstream@h@")


def test_a_path_is_told_from_a_name() -> None:
    assert Embedded(weights="/x/y.gguf", title="x").is_path
    assert not EMBEDDED.is_path


def test_the_key_of_an_upstream_is_never_in_it() -> None:
    assert b"KEY" in msgspec.json.encode(REMOTE), "the variable's name is"
    assert msgspec.json.encode(REMOTE).count(b"KEY") == 1


def test_a_manifests_deployment_is_pinned() -> None:
    texts = [manifest for manifest in bundled_manifests() if manifest.format == "gguf"]
    assert texts
    for manifest in texts:
        deployment = deployment_of([manifest])
        assert isinstance(deployment, Embedded)
        assert deployment.sha256 == manifest.files[0].sha256
        assert (deployment.title, deployment.license, deployment.decoding) == (
            manifest.title,
            manifest.license,
            manifest.decoding,
        )


@pytest.mark.parametrize(
    "change",
    [
        {"weights": (Pinned("mini", "1" * 64), Pinned("/x/y.bin"))},
        {"weights": (Pinned("mini", "0" * 64),)},
        {"options": {"pooling": "mean"}},
        {"slots": 1},
        {"threads": 1},
    ],
)
def test_whatever_decides_a_hosts_answers_is_in_the_id(change: dict[str, object]) -> None:
    assert msgspec.structs.replace(HOSTED, **change).id != HOSTED.id


def test_the_manifest_says_what_runs_it() -> None:
    minilm, vocabulary = find_manifest("all-minilm-l6-v2-int8"), find_manifest("cl100k-base")
    deployment = deployment_of([minilm])
    assert isinstance(deployment, Hosted)
    assert (deployment.engine, deployment.runs_on, deployment.license) == ("embedding", "ONNX Runtime", "Apache-2.0")
    assert deployment.weights == (Pinned(minilm.id, minilm.digest), Pinned(vocabulary.id, vocabulary.digest))
    assert weights_of(deployment) == [minilm.id, vocabulary.id], "what the host needs beside its own is pulled, too"
    with pytest.raises(ValueError, match="no engine runs cl100k-base"):
        deployment_of([vocabulary])
    with pytest.raises(ValueError, match="no engine runs smollm2"):
        deployment_of([find_manifest("smollm2-135m-instruct"), minilm])


def test_weights_that_are_needed_here() -> None:
    assert weights_of(EMBEDDED) == ["small-q4"]
    assert weights_of(HOSTED) == ["mini"]
    assert weights_of(REMOTE) == weights_of(Embedded(weights="/x/y.gguf", title="x")) == []


def test_a_manifests_digest_changes_with_any_of_its_files() -> None:
    manifest = find_manifest("all-minilm-l6-v2-int8")
    model, tokenizer = manifest.files
    again = msgspec.structs.replace(manifest, files=[tokenizer, model])
    assert again.digest == manifest.digest
    renamed = msgspec.structs.replace(manifest, files=[msgspec.structs.replace(model, name="x.onnx"), tokenizer])
    assert renamed.digest != manifest.digest
    assert msgspec.structs.replace(manifest, files=[model]).digest != manifest.digest
