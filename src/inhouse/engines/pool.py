"""One engine for each distinct way of running a model, shared by all deployments that run it so."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Literal

import msgspec
import structlog

from inhouse.engines.deployments import Deployment, Embedded
from inhouse.engines.llama import LlamaEngine, LlamaSpec
from inhouse.engines.protocol import EngineFailed
from inhouse.engines.supervisor import Settings as ChildSettings
from inhouse.engines.upstream import Upstream
from inhouse.engines.weights import WeightsCache, find_manifest

Engine = LlamaEngine | Upstream
State = Literal["ready", "stopped", "failed"]

log = structlog.get_logger(__name__)


class EngineSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What all embedded engines share; a deployment's own numbers go first. None: chosen for the machine."""

    slots: int | None = None
    threads: int | None = None
    kv_tokens: int | None = None
    idle_unload_s: float = 0.0
    max_queue: int = 256
    preload: tuple[str, ...] = ("gpt-4.1",)
