"""Deployments: how a model is run. A binding of the catalog says which model a deployment serves."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import PurePath
from typing import Literal

import msgspec

from inhouse.engines.hosts import HOSTS, Kind, host_of
from inhouse.engines.protocol import DecodingDefaults
from inhouse.engines.upstream import UpstreamSpec
from inhouse.engines.weights import Manifest, find_manifest

WindowStrategy = Literal["native", "read", "truncate"]
"""What is done with a prompt that the card's window holds and the deployment's does not: it is refused, it is read in
part (see ``generation.reading``), or its oldest items are dropped, as ``truncation: auto`` asks for."""


READ_TOKENS = 1_500
"""Tokens of passages that an embedded model reads of a longer prompt: what two cores read in some 10 s."""
WHOLE_TOKENS = 4_500
"""Tokens that an embedded model reads in parts for a question about all of a longer prompt: some 40 s of two cores.
Another server does so only where its deployment says how many, since each part is a request that may cost money."""
WORD_VECTORS = "wordllama-l2-supercat-256"
"""The weights that help a deployment to find what it reads. It reads without them, too, by words alone."""


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
    whole_tokens: int | None = None
    """Tokens that are read in parts, with a note on each, where a question is about all of a longer prompt; 0: none,
    passages are spread over it; None: what suits the deployment."""
    search_steps: int = 0
    """Times that the model may ask for a further search before it answers. Each costs a reading of the passages."""

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


class Pinned(msgspec.Struct, frozen=True, omit_defaults=True):
    """Weights by content: the id of a manifest with ``Manifest.digest``, or a path, of which nothing is pinned."""

    id: str
    sha256: str | None = None

    @property
    def is_path(self) -> bool:
        return self.sha256 is None


class Hosted(msgspec.Struct, tag="hosted", frozen=True, kw_only=True, omit_defaults=True, dict=True):
    """Weights run by one of this project's own Python hosts (see ``hosts``). What is None is chosen for the machine."""

    engine: Kind
    weights: tuple[Pinned, ...]
    """The first names it; a host may want several sets, such as a model of texts and one of images."""
    title: str
    license: str | None = None
    slots: int | None = None
    threads: int | None = None
    options: dict[str, str | int | float | bool] = {}
    """What the host itself understands; part of the id, since it may decide answers."""

    @classmethod
    def of(cls, manifests: Sequence[Manifest]) -> Hosted:
        """The host that the first manifest asks for, with the weights of all.

        Raises:
            ValueError: no host runs such weights.
        """
        kind = host_of(manifests[0])
        if kind is None:
            raise ValueError(f"no host runs {manifests[0].id}: {manifests[0].format} for {manifests[0].capabilities}")
        licenses = dict.fromkeys(manifest.license for manifest in manifests)
        return cls(
            engine=kind,
            weights=(*map(_pinned, manifests), *_companions(kind)),
            title=" + ".join(manifest.title for manifest in manifests),
            license=" AND ".join(licenses),
        )

    @classmethod
    def of_path(cls, kind: Kind, path: str, title: str) -> Hosted:
        """Weights in a file or folder of this machine."""
        return cls(engine=kind, weights=(Pinned(path), *_companions(kind)), title=title)

    @property
    def runs_on(self) -> str:
        """What executes the weights, as people are told it."""
        return "llama.cpp" if self.weights[0].id.endswith(".gguf") else HOSTS[self.engine].runs_on

    @cached_property
    def id(self) -> str:
        name = PurePath(self.weights[0].id).name.removesuffix(".gguf").lower()
        return f"{name}@{_digest(self)}"


class Remote(msgspec.Struct, tag="upstream", frozen=True, kw_only=True, omit_defaults=True, dict=True):
    """One or more OpenAI-compatible servers that serve the same model."""

    upstream: UpstreamSpec
    window: int | None = None
    """Tokens; None asks the server, and trusts the card if it does not tell."""
    window_strategy: WindowStrategy = "native"
    read_tokens: int | None = None
    vision: bool = False
    """It looks at images, so it gets the pages of a PDF as images, too."""
    whole_tokens: int | None = None
    search_steps: int = 0

    @cached_property
    def id(self) -> str:
        target = self.upstream.targets[0]
        host = target.url.split("://", 1)[-1].split("/", 1)[0]
        return f"{target.model or 'upstream'}@{host}@{_digest(self)}"


Deployment = Embedded | Hosted | Remote


def weights_of(deployment: Deployment) -> list[str]:
    """The manifests whose weights it needs on this machine, by id."""
    match deployment:
        case Embedded(weights=weights):
            return [] if deployment.is_path else [weights]
        case Hosted(weights=several):
            return [pinned.id for pinned in several if not pinned.is_path]
        case Remote():
            return []


def deployment_of(manifests: Sequence[Manifest]) -> Embedded | Hosted:
    """What runs the weights of these manifests, told by their format and capabilities.

    Raises:
        ValueError: several for an engine that takes one, or no engine runs such weights.
    """
    if host_of(manifests[0]) is not None:
        return Hosted.of(manifests)
    if len(manifests) > 1 or manifests[0].format != "gguf":
        raise ValueError(f"no engine runs {' with '.join(manifest.id for manifest in manifests)}")
    return Embedded.of(manifests[0])


def _pinned(manifest: Manifest) -> Pinned:
    return Pinned(manifest.id, manifest.digest)


def _companions(kind: Kind) -> list[Pinned]:
    return [_pinned(find_manifest(name)) for name in HOSTS[kind].companions]


def _digest(deployment: Deployment) -> str:
    return hashlib.sha256(msgspec.json.encode(deployment)).hexdigest()[:8]
