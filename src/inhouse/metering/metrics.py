"""Counters for Prometheus, fed when calls are settled."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from inhouse.kit.errors import APIError, RateLimited
from inhouse.metering.usage import Usage

_SECONDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_BOUNDS = (*(str(float(each)) for each in _SECONDS), "+Inf")


class _Durations:
    """What a histogram adds up."""

    __slots__ = ("counts", "seconds")

    def __init__(self) -> None:
        self.counts = [0] * len(_BOUNDS)
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(_SECONDS, seconds)] += 1
        self.seconds += seconds

    def merge(self, other: _Durations) -> None:
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]
        self.seconds += other.seconds


class _Kind:
    """Calls of one kind: an operation, a model, a status."""

    __slots__ = ("cached_input", "calls", "cost", "durations", "first_tokens", "input", "output")

    def __init__(self) -> None:
        self.calls = self.input = self.cached_input = self.output = self.cost = 0
        self.durations = _Durations()
        self.first_tokens = _Durations()


class _Calls(Collector):
    """Plain numbers, made into metrics when somebody asks: the library's counters take locks that the loop needs not,
    a twentieth of what a request costs."""

    def __init__(self) -> None:
        self.open = 0
        self.kinds: dict[tuple[str, str, int], _Kind] = {}

    def collect(self) -> Iterator[Metric]:
        calls = CounterMetricFamily("inhouse_calls", "Calls settled.", labels=["operation", "model", "status"])
        tokens = CounterMetricFamily("inhouse_tokens", "Tokens used.", labels=["model", "kind"])
        cost = CounterMetricFamily("inhouse_cost_nanodollars", "What calls cost, in nano-dollars.", labels=["model"])
        models: dict[str, _Kind] = {}
        durations: dict[str, _Durations] = {}
        for (operation, model, status), kind in self.kinds.items():
            calls.add_metric([operation, model, str(status)], kind.calls)
            durations.setdefault(operation, _Durations()).merge(kind.durations)
            whole = models.setdefault(model, _Kind())
            whole.input += kind.input
            whole.cached_input += kind.cached_input
            whole.output += kind.output
            whole.cost += kind.cost
            whole.first_tokens.merge(kind.first_tokens)
        for model, whole in models.items():
            tokens.add_metric([model, "input"], whole.input)
            tokens.add_metric([model, "cached_input"], whole.cached_input)
            tokens.add_metric([model, "output"], whole.output)
            cost.add_metric([model], whole.cost)
        yield from (calls, tokens, cost)
        yield _histogram("inhouse_call_seconds", "From admission to settlement.", "operation", durations)
        first_tokens = {model: whole.first_tokens for model, whole in models.items()}
        yield _histogram("inhouse_first_token_seconds", "From admission to the first output.", "model", first_tokens)
        yield GaugeMetricFamily("inhouse_calls_open", "Calls being served.", value=self.open)


def _histogram(name: str, help: str, label: str, found: dict[str, _Durations]) -> Metric:
    family = HistogramMetricFamily(name, help, labels=[label])
    for value, durations in found.items():
        buckets = list(zip(_BOUNDS, accumulate(durations.counts), strict=True))
        family.add_metric([value], buckets, durations.seconds)
    return family


class Metrics:
    """The process's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._calls = _Calls()
        self.registry.register(self._calls)
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

    def opened(self) -> None:
        self._calls.open += 1

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
        kind = self._calls.kinds.get(key)
        if kind is None:
            kind = self._calls.kinds[key] = _Kind()
        self._calls.open -= 1
        kind.calls += 1
        kind.durations.add(seconds)
        if first_token_ms is not None:
            kind.first_tokens.add(first_token_ms / 1000)
        kind.input += usage.input_tokens - usage.cached_tokens
        kind.cached_input += usage.cached_tokens
        kind.output += usage.output_tokens
        kind.cost += cost_nanos

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self.registry)
