"""Deployments: how a model is run. A binding of the catalog says which model a deployment serves."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Literal

import msgspec

from inhouse.engines.protocol import DecodingDefaults
from inhouse.engines.upstream import UpstreamSpec
from inhouse.engines.weights import Manifest

WindowStrategy = Literal["native", "read", "truncate"]
"""What is done with a prompt that the card's window holds and the deployment's does not: it is refused, it is read in
part (see ``generation.reading``), or its oldest items are dropped, as ``truncation: auto`` asks for."""


class Embedded(msgspec.Struct, tag="embedded", frozen=True, kw_only=True, omit_defaults=True, dict=True):
    """Weights run by this machine's own engine (llama.cpp). Everything that decides answers is pinned.

    ``weights`` is the id of a manifest, or the path of a GGUF file. What is None is chosen for the machine.
    """

    weights: str
    title: str
    sha256: str | None = None
    """Content of the weights file; None only for a file given by path."""
    license: str | None = None
    template: str | None = None
    """A chat template in place of the one in the weights."""
    decoding: DecodingDefaults = DecodingDefaults()
    window: int | None = None
    slots: int | None = None
    threads: int | None = None
    kv_tokens: int | None = None
    window_strategy: WindowStrategy = "read"
    read_tokens: int | None = None
    """Tokens of passages that are read of a longer prompt."""

    @classmethod
    def of(cls, manifest: Manifest) -> Embedded:
        """Weights of a manifest, with the decoding that their makers recommend."""
        return cls(
            weights=manifest.id,
            title=manifest.title,
            sha256=manifest.files[0].sha256,
            license=manifest.license,
            decoding=manifest.decoding,
        )

    @property
    def is_path(self) -> bool:
        return self.weights.endswith(".gguf")

    @cached_property
    def id(self) -> str:
        """Name of this very deployment: the weights' name and a digest of all that is pinned."""
        name = self.weights.rsplit("/", 1)[-1].removesuffix(".gguf").lower()
        return f"{name}@{_digest(self)}"


class Remote(msgspec.Struct, tag="upstream", frozen=True, kw_only=True, omit_defaults=True, dict=True):
    """One or more OpenAI-compatible servers that serve the same model."""

    upstream: UpstreamSpec
    window: int | None = None
    """Tokens; None asks the server, and trusts the card if it does not tell."""
    window_strategy: WindowStrategy = "native"
    read_tokens: int | None = None

    @cached_property
    def id(self) -> str:
        target = self.upstream.targets[0]
        host = target.url.split("://", 1)[-1].split("/", 1)[0]
        return f"{target.model or 'upstream'}@{host}@{_digest(self)}"


Deployment = Embedded | Remote


def _digest(deployment: Embedded | Remote) -> str:
    return hashlib.sha256(msgspec.json.encode(deployment)).hexdigest()[:8]
