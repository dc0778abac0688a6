"""Usage and costs over HTTP."""

from __future__ import annotations

from inhouse.api.operation import Request, operation
from inhouse.api.organization.usage import wire
from inhouse.api.organization.usage.service import Group, Sums, UsageService
from inhouse.kit.errors import InvalidRequest


class Usage:
    def __init__(self, service: UsageService) -> None:
        self._service = service

    @operation("GET", "/organization/usage/completions", id="usage-completions", tag="Usage", errors=(InvalidRequest,))
    async def completions(self, request: Request, query: wire.CompletionsUsageQuery) -> wire.UsagePage:
        """Usage of models that write text."""
        return await self._service.usage(request.caller, "completions", query, _completions)

    @operation("GET", "/organization/usage/embeddings", id="usage-embeddings", tag="Usage", errors=(InvalidRequest,))
    async def embeddings(self, request: Request, query: wire.ModelUsageQuery) -> wire.UsagePage:
        """Usage of models that embed."""
        return await self._service.usage(request.caller, "embeddings", query, _embeddings)

    @operation("GET", "/organization/usage/moderations", id="usage-moderations", tag="Usage", errors=(InvalidRequest,))
    async def moderations(self, request: Request, query: wire.ModelUsageQuery) -> wire.UsagePage:
        """Usage of models that moderate."""
        return await self._service.usage(request.caller, "moderations", query, _moderations)

    @operation("GET", "/organization/usage/images", id="usage-images", tag="Usage", errors=(InvalidRequest,))
    async def images(self, request: Request, query: wire.ImagesUsageQuery) -> wire.UsagePage:
        """Usage of models that make images."""
        return await self._service.usage(request.caller, "images", query, _images)

    @operation(
        "GET", "/organization/usage/audio_speeches", id="usage-audio-speeches", tag="Usage", errors=(InvalidRequest,)
    )
    async def audio_speeches(self, request: Request, query: wire.ModelUsageQuery) -> wire.UsagePage:
        """Usage of models that speak."""
        return await self._service.usage(request.caller, "audio_speeches", query, _audio_speeches)

    @operation(
        "GET",
        "/organization/usage/audio_transcriptions",
        id="usage-audio-transcriptions",
        tag="Usage",
        errors=(InvalidRequest,),
    )
    async def audio_transcriptions(self, request: Request, query: wire.ModelUsageQuery) -> wire.UsagePage:
        """Usage of models that transcribe."""
        return await self._service.usage(request.caller, "audio_transcriptions", query, _audio_transcriptions)

    @operation(
        "GET", "/organization/usage/vector_stores", id="usage-vector-stores", tag="Usage", errors=(InvalidRequest,)
    )
    async def vector_stores(self, request: Request, query: wire.ProjectUsageQuery) -> wire.UsagePage:
        """Storage of vector stores."""
        return await self._service.usage(request.caller, "vector_stores", query, _vector_stores)

    @operation(
        "GET",
        "/organization/usage/code_interpreter_sessions",
        id="usage-code-interpreter-sessions",
        tag="Usage",
        errors=(InvalidRequest,),
    )
    async def code_interpreter_sessions(self, request: Request, query: wire.ProjectUsageQuery) -> wire.UsagePage:
        """Sessions of the code interpreter."""
        return await self._service.usage(request.caller, "code_interpreter_sessions", query, _sessions)

    @operation(
        "GET",
        "/organization/usage/file_search_calls",
        id="usage-file-search-calls",
        tag="Usage",
        errors=(InvalidRequest,),
    )
    async def file_search_calls(self, request: Request, query: wire.FileSearchUsageQuery) -> wire.UsagePage:
        """Searches of files."""
        return await self._service.usage(request.caller, "file_search_calls", query, _file_searches)

    @operation(
        "GET",
        "/organization/usage/web_search_calls",
        id="usage-web-search-calls",
        tag="Usage",
        errors=(InvalidRequest,),
    )
    async def web_search_calls(self, request: Request, query: wire.WebSearchUsageQuery) -> wire.UsagePage:
        """Searches of the web."""
        return await self._service.usage(request.caller, "web_search_calls", query, _web_searches)

    @operation("GET", "/organization/costs", id="usage-costs", tag="Usage", errors=(InvalidRequest,))
    async def costs(self, request: Request, query: wire.CostsQuery) -> wire.UsagePage:
        """What was spent, day by day.

        Sums of the ledger, exact to the nano-dollar, with the prices that were in force for each request.
        """
        return await self._service.costs(request.caller, query)


def _completions(sums: Sums, group: Group) -> wire.CompletionsResult:
    return wire.CompletionsResult(
        num_model_requests=sums["requests"],
        input_tokens=sums["input_tokens"],
        input_cached_tokens=sums["cached_input_tokens"],
        input_uncached_tokens=sums["input_tokens"] - sums["cached_input_tokens"],
        output_tokens=sums["output_tokens"],
        **group,
    )


def _embeddings(sums: Sums, group: Group) -> wire.EmbeddingsResult:
    return wire.EmbeddingsResult(num_model_requests=sums["requests"], input_tokens=sums["input_tokens"], **group)


def _moderations(sums: Sums, group: Group) -> wire.ModerationsResult:
    return wire.ModerationsResult(num_model_requests=sums["requests"], input_tokens=sums["input_tokens"], **group)


def _images(sums: Sums, group: Group) -> wire.ImagesResult:
    return wire.ImagesResult(num_model_requests=sums["requests"], images=sums["units"], **group)


def _audio_speeches(sums: Sums, group: Group) -> wire.AudioSpeechesResult:
    return wire.AudioSpeechesResult(num_model_requests=sums["requests"], characters=sums["units"], **group)


def _audio_transcriptions(sums: Sums, group: Group) -> wire.AudioTranscriptionsResult:
    return wire.AudioTranscriptionsResult(num_model_requests=sums["requests"], seconds=sums["units"], **group)


def _vector_stores(sums: Sums, group: Group) -> wire.VectorStoresResult:
    return wire.VectorStoresResult(usage_bytes=sums["units"], **group)


def _sessions(sums: Sums, group: Group) -> wire.CodeInterpreterSessionsResult:
    return wire.CodeInterpreterSessionsResult(num_sessions=sums["units"], **group)


def _file_searches(sums: Sums, group: Group) -> wire.FileSearchesResult:
    return wire.FileSearchesResult(num_requests=sums["requests"], **group)


def _web_searches(sums: Sums, group: Group) -> wire.WebSearchesResult:
    return wire.WebSearchesResult(num_model_requests=sums["requests"], num_requests=sums["units"], **group)
