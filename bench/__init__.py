"""Benchmarks side by side with peers. ``python -m bench.gateway`` and ``python -m bench.engine``."""
