from __future__ import annotations

import msgspec
import pytest

from inhouse.engines.deployments import Deployment, Embedded, Remote
from inhouse.engines.protocol import DecodingDefaults
from inhouse.engines.upstream import Target, UpstreamSpec
from inhouse.engines.weights import bundled_manifests

EMBEDDED = Embedded(
    weights="small-q4", title="Small", sha256="0" * 64, license="MIT", decoding=DecodingDefaults(temperature=0.5)
)
REMOTE = Remote(upstream=UpstreamSpec(targets=[Target("https://gpu.example:8000/v1", "llama", "KEY")]))


def test_ids_stay_what_they_are() -> None:
    """``system_fingerprint`` and the ledger rest on them: a change would say that every model changed."""
    assert EMBEDDED.id == "small-q4@539b8897"
    assert REMOTE.id == "llama@gpu.example:8000@158d3444"


@pytest.mark.parametrize("deployment", [EMBEDDED, REMOTE])
def test_an_id_survives_the_database(deployment: Embedded | Remote) -> None:
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
    for manifest in bundled_manifests():
        deployment = Embedded.of(manifest)
        assert deployment.sha256 == manifest.files[0].sha256
        assert (deployment.title, deployment.license, deployment.decoding) == (
            manifest.title,
            manifest.license,
            manifest.decoding,
        )
