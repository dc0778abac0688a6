"""Counters for Prometheus, fed when calls are settled."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from inhouse.kit.errors import APIError, RateLimited
from inhouse.metering.usage import Usage

_SECONDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class _Series(NamedTuple):
    """What one kind of call counts in. Looking labels up anew for every call costs more than counting."""

    calls: Counter
    seconds: Histogram
    first_token: Histogram
    input: Counter
    cached_input: Counter
    output: Counter
    cost: Counter


class Metrics:
    """The process's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._calls = Counter(
            "inhouse_calls", "Calls settled.", ["operation", "model", "status"], registry=self.registry
        )
        self._tokens = Counter("inhouse_tokens", "Tokens used.", ["model", "kind"], registry=self.registry)
        self._cost = Counter(
            "inhouse_cost_nanodollars", "What calls cost, in nano-dollars.", ["model"], registry=self.registry
        )
        self._seconds = Histogram(
            "inhouse_call_seconds",
            "From admission to settlement.",
            ["operation"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._first_token = Histogram(
            "inhouse_first_token_seconds",
            "From admission to the first output.",
            ["model"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._refused = Counter(
            "inhouse_calls_refused",
            "Calls that were not admitted, by the reason that clients read.",
            ["operation", "model", "reason"],
            registry=self.registry,
        )
        self._moderated = Counter(
            "inhouse_moderated", "Inputs and outputs moderated.", ["side", "outcome"], registry=self.registry
        )
        self._flagged = Counter(
            "inhouse_moderation_flags", "Categories flagged.", ["side", "category"], registry=self.registry
        )
        self._series: dict[tuple[str, str, int], _Series] = {}
        self._open = Gauge("inhouse_calls_open", "Calls being served.", registry=self.registry)

    def opened(self) -> None:
        self._open.inc()

    def refused(self, operation: str, model: str, error: APIError) -> None:
        """A call that got no further than its limits, its budget or the ledger.

        Counted by what was short: ``requests`` or ``tokens`` (a rate limit), ``insufficient_quota``, or the error's
        code or type.
        """
        reason = error.type if isinstance(error, RateLimited) else error.code or error.type
        self._refused.labels(operation, model, reason).inc()

    def moderated(self, side: str, outcome: str, categories: Iterable[str]) -> None:
        """An input or an output of a generation was moderated.

        Args:
            side: ``input`` or ``output``.
            outcome: ``passed``, ``flagged``, ``blocked`` or ``failed``.
        """
        self._moderated.labels(side, outcome).inc()
        for category in categories:
            self._flagged.labels(side, category).inc()

    def settled(
        self,
        *,
        operation: str,
        model: str,
        status: int,
        seconds: float,
        first_token_ms: float | None,
        usage: Usage,
        cost_nanos: int,
    ) -> None:
        key = (operation, model, status)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = self._make(operation, model, status)
        self._open.dec()
        series.calls.inc()
        series.seconds.observe(seconds)
        if first_token_ms is not None:
            series.first_token.observe(first_token_ms / 1000)
        series.input.inc(usage.input_tokens - usage.cached_tokens)
        if usage.cached_tokens:
            series.cached_input.inc(usage.cached_tokens)
        series.output.inc(usage.output_tokens)
        series.cost.inc(cost_nanos)

    def _make(self, operation: str, model: str, status: int) -> _Series:
        return _Series(
            self._calls.labels(operation, model, status),
            self._seconds.labels(operation),
            self._first_token.labels(model),
            self._tokens.labels(model, "input"),
            self._tokens.labels(model, "cached_input"),
            self._tokens.labels(model, "output"),
            self._cost.labels(model),
        )

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self.registry)
