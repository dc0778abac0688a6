"""What answers for a snapshot on this installation, as people are shown it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from inhouse.engines.deployments import WindowStrategy


class ServedBy(msgspec.Struct, frozen=True, kw_only=True):
    """The deployment behind a snapshot. None stands for what is not known, or not measured yet."""

    weights: str
    """Title of the weights, such as ``Qwen2.5-Coder-0.5B-Instruct Q4_K_M``, or the model name asked of an upstream."""
    engine: str
    """What runs them, such as ``llama.cpp``."""
    where: str = "this machine"
    """``this machine``, or the host of the upstream."""
    window: int
    """Tokens that prompt and completion may fill together here; may be less than the card's window."""
    window_strategy: WindowStrategy = "native"
    """What is done with a prompt that only the card's window holds."""
    reads: str | None = None
    """How much of such a prompt is read, where passages are; in words."""
    bound_since: datetime
    """When the snapshot was bound to these weights; with a time zone."""
    state: Literal["ready", "stopped", "failed"]
    """``stopped`` starts on the next request."""
    reads_images: bool = False
    """Whether images of a request reach a model that may see them."""
    sha256: str | None = None
    license: str | None = None
    """SPDX identifier of the licence of the weights."""
    prefill_tokens_per_second: float | None = None
    decode_tokens_per_second: float | None = None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One binding in a model's history. ``weights`` is None where it was unbound; ``bound_at`` for what is shipped."""

    weights: str | None
    engine: str = ""
    bound_at: datetime | None = None
    actor: str = ""
