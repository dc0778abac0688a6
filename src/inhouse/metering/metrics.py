"""Counters for Prometheus, fed when calls are settled."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from inhouse.metering.usage import Usage

_SECONDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


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
        self._open = Gauge("inhouse_calls_open", "Calls being served.", registry=self.registry)

    def opened(self) -> None:
        self._open.inc()

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
        self._open.dec()
        self._calls.labels(operation, model, status).inc()
        self._seconds.labels(operation).observe(seconds)
        if first_token_ms is not None:
            self._first_token.labels(model).observe(first_token_ms / 1000)
        self._tokens.labels(model, "input").inc(usage.input_tokens - usage.cached_tokens)
        self._tokens.labels(model, "cached_input").inc(usage.cached_tokens)
        self._tokens.labels(model, "output").inc(usage.output_tokens)
        self._cost.labels(model).inc(cost_nanos)

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self.registry)
