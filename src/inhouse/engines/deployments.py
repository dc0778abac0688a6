"""Deployments: what serves a snapshot here."""

from __future__ import annotations

import hashlib
from functools import cached_property

import msgspec

from inhouse.engines.llama.engine import DecodingDefaults
from inhouse.engines.upstream import UpstreamSpec


class Embedded(msgspec.Struct, tag="embedded", frozen=True, kw_only=True, omit_defaults=True, dict=True):
    """Weights run by this machine's own engine (llama.cpp).

    ``weights`` is the id of a manifest, or the path of a GGUF file. None leaves a choice to the machine.
    """

    weights: str
    sha256: str | None = None
    """Pinned content of the weights file; a file that differs is refused."""
    title: str | None = None
    license: str | None = None
    window: int | None = None
    slots: int | None = None
    threads: int | None = None
    kv_tokens: int | None = None
    template: str | None = None
    decoding: DecodingDefaults = DecodingDefaults()

    @cached_property
    def id(self) -> str:
        """Stable name of this very deployment: the weights' name and a digest of everything that decides answers."""
        name = self.weights.rsplit("/", 1)[-1].removesuffix(".gguf").lower()
        return f"{name}@{_digest(self)}"


class Remote(msgspec.Struct, tag="upstream", frozen=True, kw_only=True, omit_defaults=True, dict=True):
    """One or more OpenAI-compatible servers."""

    upstream: UpstreamSpec
    window: int | None = None
    """Tokens; None asks the server, and trusts the card if it does not tell."""
    vision: bool = False
    """The model behind it reads images."""

    @cached_property
    def id(self) -> str:
        target = self.upstream.targets[0]
        host = target.url.split("://", 1)[-1].split("/", 1)[0]
        return f"{target.model or 'upstream'}@{host}@{_digest(self)}"


Deployment = Embedded | Remote


def _digest(deployment: Deployment) -> str:
    return hashlib.sha256(msgspec.json.encode(deployment)).hexdigest()[:8]
