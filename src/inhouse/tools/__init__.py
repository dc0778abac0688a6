"""Hosted tools: what runs here, not at the client, when a model calls it."""
