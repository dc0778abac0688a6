"""Durable work: what must be done even if the process dies."""
