"""Any OpenAI-compatible server (vLLM, SGLang, llama-server, OpenAI itself) as an engine.

    spec = UpstreamSpec(targets=[Target("http://gpu:8000/v1", key_env="GPU_KEY")])
    upstream = Upstream(spec)
    answer = await upstream.post("/chat/completions", {"messages": [...]})
    async with aclosing(upstream.stream("/chat/completions", {"messages": [...], "stream": True})) as batches:
        async for payloads in batches: ...

Every failure is an ``EngineFailed``; an answer that is not a success is an ``UpstreamError`` with status and body.
"""

from inhouse.engines.upstream.client import Upstream
from inhouse.engines.upstream.spec import (
    Target,
    TargetStatus,
    UpstreamAnswer,
    UpstreamError,
    UpstreamModel,
    UpstreamSpec,
)

__all__ = ["Target", "TargetStatus", "Upstream", "UpstreamAnswer", "UpstreamError", "UpstreamModel", "UpstreamSpec"]
