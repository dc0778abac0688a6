"""Runs in the child: ``python -m inhouse.engines.llama.host`` serves one model over llama.cpp's HTTP face."""

from __future__ import annotations

import sys
from typing import Any

import msgspec

from inhouse.engines.child import Parent
from inhouse.engines.llama.spec import Plan

WARNINGS = 2
"""llama.cpp's verbosity that logs errors and warnings, and never prompts."""


def parameters(plan: Plan, key: str) -> Any:
    """llama.cpp's parameters for ``plan``: one KV cache shared by all slots, on a port the system picks."""
    import xllamacpp  # type: ignore[import-not-found,import-untyped,unused-ignore]

    spec = plan.spec
    p = xllamacpp.CommonParams()
    p.model.path = spec.path
    p.hostnames, p.port, p.api_keys = ["127.0.0.1"], 0, [key]
    p.cors_origins = ""
    p.ui = False
    p.endpoint_slots = p.endpoint_metrics = True
    p.verbosity = WARNINGS
    p.n_ctx, p.n_parallel, p.kv_unified = plan.kv_tokens, spec.slots, True
    p.n_batch = p.n_ubatch = plan.batch
    p.cpuparams.n_threads = p.cpuparams_batch.n_threads = plan.threads
    # The gateway admits as many requests as there are slots; the rest are quick calls such as tokenizing.
    p.n_threads_http = spec.slots + 8
    p.cache_ram_mib = spec.prompt_cache_mib
    p.cache_type_k = p.cache_type_v = getattr(xllamacpp.ggml_type, f"GGML_TYPE_{spec.cache_type.upper()}")
    p.fit_params = False  # What the plan says is what runs; too little memory is an error, not a smaller window.
    p.warmup = True
    p.use_jinja = True
    p.prefill_assistant = False  # After an assistant's message comes a new one; llama.cpp would write that one on.
    if spec.template is not None:
        p.chat_template = spec.template
    if spec.gpu_layers is not None:
        p.n_gpu_layers = spec.gpu_layers
    if plan.rope is not None:
        scaling = xllamacpp.llama_rope_scaling_type
        p.rope_scaling_type = getattr(scaling, f"LLAMA_ROPE_SCALING_TYPE_{plan.rope.scaling.upper()}")
        p.rope_freq_scale = 1.0 / (plan.rope.factor or 1.0)
        if plan.rope.scaling == "yarn":
            p.yarn_orig_ctx = plan.rope.trained_window or 0
        if plan.rope.base:
            p.rope_freq_base = plan.rope.base
    if spec.lora:
        p.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(lora.path, lora.scale) for lora in spec.lora]
    return p


def main() -> None:
    parent = Parent()
    plan = msgspec.convert(parent.handshake.config, Plan)
    import xllamacpp

    try:
        server = xllamacpp.Server(parameters(plan, parent.handshake.key))
    except Exception as error:
        print(f"llama.cpp cannot serve {plan.spec.path}: {error}", file=sys.stderr, flush=True)  # noqa: T201
        raise SystemExit(1) from None
    parent.announce(server.listening_address)
    parent.wait()


if __name__ == "__main__":
    main()
