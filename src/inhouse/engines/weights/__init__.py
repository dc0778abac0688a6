"""Weights: what they are, where they come from, and the cache they live in.

manifest.py   what a manifest says; the manifests that come with the project
cache.py      the content-addressed cache: pull, verify, remove, list
growing.py    a file on its way into the cache
hub.py, packages.py, local.py   the kinds of sources
gguf.py       what the header of a GGUF file says
progress.py   a bar for a terminal, plain lines for a log
"""

from inhouse.engines.weights.cache import Stored, Verified, WeightsCache
from inhouse.engines.weights.errors import (
    BadGGUF,
    BadManifest,
    NotEnoughSpace,
    PullFailed,
    UnknownWeights,
    WeightsError,
)
from inhouse.engines.weights.gguf import GGUFInfo, inspect_gguf
from inhouse.engines.weights.manifest import Manifest, WeightFile, bundled_manifests, find_manifest, load_manifest
from inhouse.engines.weights.progress import Progress, pull_with_bar

__all__ = [
    "BadGGUF",
    "BadManifest",
    "GGUFInfo",
    "Manifest",
    "NotEnoughSpace",
    "Progress",
    "PullFailed",
    "Stored",
    "UnknownWeights",
    "Verified",
    "WeightFile",
    "WeightsCache",
    "WeightsError",
    "bundled_manifests",
    "find_manifest",
    "inspect_gguf",
    "load_manifest",
    "pull_with_bar",
]
