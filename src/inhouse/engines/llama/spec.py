"""What a deployment says about the embedded engine: all that changes how a model behaves or what it costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from inhouse.engines import machine
from inhouse.engines.protocol import DecodingDefaults
from inhouse.engines.weights.errors import BadGGUF
from inhouse.engines.weights.gguf import GGUFInfo, inspect_gguf

CacheType = Literal["f16", "q8_0", "q4_0"]

BYTES_PER_VALUE: dict[CacheType, float] = {"f16": 2.0, "q8_0": 34 / 32, "q4_0": 18 / 32}
"""Of a block of 32 values: its quants and one 16-bit scale."""

LEAST_KV_TOKENS = 2048
GIB = 1 << 30


class Rope(msgspec.Struct, kw_only=True, frozen=True):
    """How positions beyond the trained window are told apart."""

    scaling: Literal["none", "linear", "yarn"] = "yarn"
    factor: float | None = None
    """None: window divided by trained window."""
    trained_window: int | None = None
    """None: what the file says."""
    base: float | None = None
    """Base frequency; None: what the file says."""


class Lora(msgspec.Struct, kw_only=True, frozen=True):
    """An adapter in GGUF, applied to every request of the deployment."""

    path: str
    scale: float = 1.0


class LlamaSpec(msgspec.Struct, kw_only=True, frozen=True):
    """One llama.cpp engine. Every None is chosen when the engine starts."""

    path: str
    window: int | None = None
    """Tokens of prompt and completion together; None: as trained."""
    kv_tokens: int | None = None
    """Tokens that all running requests share; None: the window."""
    slots: int = 4
    """Requests that run at once."""
    threads: int | None = None
    """None: the physical cores this process may use."""
    batch: int | None = None
    """Prompt tokens computed between two looks at cancellations; None: by the size of the model."""
    cache_type: CacheType = "f16"
    prompt_cache_mib: int = 512
    """RAM for the states of earlier prompts, beyond the KV cache itself; 0: none."""
    rope: Rope | None = None
    lora: list[Lora] = []
    template: str | None = None
    """Jinja chat template instead of the file's own."""
    gpu_layers: int | None = None
    """Layers on the accelerator, where the installed build has one; None: all that fit."""
    spin: int = 300
    """GOMP_SPINCOUNT of the child. libgomp's own default spins so long that one other busy process on the cores cut
    decoding from 56 to 8 tokens/s; 0 never spins and costs about a third on a quiet machine; 300 kept most of both."""
    defaults: DecodingDefaults = DecodingDefaults()

    @classmethod
    def for_machine(cls, path: str | Path, **settings: Any) -> LlamaSpec:
        """A spec for ``path`` that fits this machine's cores and free memory; ``settings`` win over what is chosen.

        Slots go from 4 to 8 with the memory; the KV cache takes at most half of what the weights leave.

        Raises:
            BadGGUF, ValueError: the file cannot be read as GGUF.
        """
        model = inspect_gguf(Path(path))
        free = machine.available_memory()
        cache_type: CacheType = settings.get("cache_type", "f16")
        chosen: dict[str, Any] = {
            "threads": machine.usable_cores(),
            "slots": max(4, min(8, free // GIB)),
            "prompt_cache_mib": min(1024, free // 10 >> 20),
            "batch": default_batch(model),
        }
        window = settings.get("window") or trained_window(model)
        room = max(0, free - model.bytes - GIB // 2) // 2
        per_token = model.kv_bytes_per_token(BYTES_PER_VALUE[cache_type])
        if per_token:
            chosen["kv_tokens"] = max(LEAST_KV_TOKENS, min(window, room // per_token))
        return cls(path=str(path), **{**chosen, **settings})


class Plan(msgspec.Struct, kw_only=True, frozen=True):
    """A spec with every None settled: what the child is told to do."""

    spec: LlamaSpec
    window: int
    kv_tokens: int
    threads: int
    batch: int
    rope: Rope | None


def trained_window(model: GGUFInfo) -> int:
    """Tokens that a model was trained to see at once.

    Raises:
        BadGGUF: it is no language model.
    """
    if model.window is None:
        raise BadGGUF(f"{model.path} is not a language model: its header names no context length")
    return model.window


def plan(spec: LlamaSpec) -> Plan:
    """Settle what ``spec`` leaves open.

    Raises:
        BadGGUF, ValueError: the file cannot be read as GGUF, or the numbers make no sense.
    """
    model = inspect_gguf(Path(spec.path))
    trained = trained_window(model)
    wanted = spec.window or trained
    kv_tokens = spec.kv_tokens or wanted
    if min(wanted, kv_tokens) < 1 or not 1 <= spec.slots <= 256:
        raise ValueError("window and kv_tokens must be positive and slots from 1 to 256")
    rope = spec.rope
    if rope is None and wanted > trained:
        rope = Rope()
    if rope is not None:
        trained = rope.trained_window or trained
        rope = msgspec.structs.replace(rope, trained_window=trained, factor=rope.factor or max(1.0, wanted / trained))
    return Plan(
        spec=spec,
        window=min(wanted, kv_tokens),
        kv_tokens=kv_tokens,
        threads=spec.threads or machine.usable_cores(),
        batch=spec.batch or default_batch(model),
        rope=rope,
    )


def default_batch(model: GGUFInfo) -> int:
    """Small enough that a batch takes well under a second on a few cores, since a batch once begun is not cancelled.

    Measured on 2 cores with 0.5B parameters: 64 gives 175 prompt tokens/s, 128 187, 512 190.
    """
    return 128 if model.bytes < 256 << 20 else 64 if model.bytes < GIB else 32
