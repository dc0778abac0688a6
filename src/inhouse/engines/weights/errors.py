"""What can go wrong with weights.

WeightsError          the message is fit for a person at a terminal
├── BadManifest       a manifest that does not say what it must
├── UnknownWeights    no manifest of that id
├── NotEnoughSpace    the disk cannot hold them
├── PullFailed        no source could give a file; says why for each
├── BadGGUF           not a GGUF file, or one whose header is broken
└── SourceFailed      one source could not give the file; the next one is tried
    └── Corrupted     what it gave is not what the manifest names
"""

from __future__ import annotations

from inhouse.kit.errors import ExpectedError


class WeightsError(ExpectedError):
    """Weights cannot be had or read."""


class BadManifest(WeightsError):
    pass


class UnknownWeights(WeightsError):
    pass


class NotEnoughSpace(WeightsError):
    pass


class PullFailed(WeightsError):
    pass


class BadGGUF(WeightsError):
    pass


class SourceFailed(WeightsError):
    pass


class Corrupted(SourceFailed):
    pass
