"""The kinds of models that this project runs in Python hosts of its own, each in a child process.

A host is a module with a ``main`` built on ``engines.hosting``. Whatever is said of a kind elsewhere, by the command
line, the doctor or a model's page, is read from ``HOSTS``.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from inhouse.engines.weights.manifest import Capability, Manifest

Kind = Literal["embedding", "whisper", "speech", "moderation"]


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of host."""

    module: str
    """What ``python -m`` runs in the child."""
    runs_on: str
    """What executes the weights, as people are told it."""
    formats: frozenset[str]
    """Of the manifests that it can load."""
    capability: Capability
    endpoints: frozenset[str]
    """Those of a card that it can serve; keys of ``catalog.cards.Endpoints``."""
    packages: tuple[str, ...]
    """Python modules that must be there, which the doctor looks for."""
    companions: tuple[str, ...] = ()
    """Ids of manifests that every deployment of the kind needs beside its own."""
    slots: int = 1
    """Requests worked on at once, where neither deployment nor settings say another number."""


HOSTS: dict[Kind, Host] = {
    "embedding": Host(
        module="inhouse.engines.embedding.host",
        runs_on="ONNX Runtime",
        formats=frozenset({"onnx"}),
        capability="embedding",
        endpoints=frozenset({"embeddings"}),
        packages=("onnxruntime", "tokenizers", "numpy", "tiktoken"),
        companions=("cl100k-base",),
        slots=2,
    ),
    "whisper": Host(
        module="inhouse.engines.transcription.host",
        runs_on="faster-whisper",
        formats=frozenset({"ctranslate2"}),
        capability="transcription",
        endpoints=frozenset({"transcription", "translation"}),
        packages=("faster_whisper", "ctranslate2", "av", "numpy"),
        companions=("voice-encoder-ge2e",),
    ),
    "speech": Host(
        module="inhouse.engines.speech.host",
        runs_on="ONNX Runtime",
        formats=frozenset({"onnx"}),
        capability="speech",
        endpoints=frozenset({"speech_generation"}),
        packages=("onnxruntime", "av", "numpy"),
    ),
    "moderation": Host(
        module="inhouse.engines.moderation.host",
        runs_on="ONNX Runtime",
        formats=frozenset({"onnx"}),
        capability="moderation",
        endpoints=frozenset({"moderation"}),
        packages=("onnxruntime", "tokenizers", "numpy", "PIL"),
        slots=2,
    ),
}


def host_of(manifest: Manifest) -> Kind | None:
    """The host that runs these weights; None for those that are llama.cpp's."""
    for kind, host in HOSTS.items():
        if manifest.format in host.formats and host.capability in manifest.capabilities:
            return kind
    return None
