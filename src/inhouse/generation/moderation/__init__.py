"""Moderation: who judges texts and images, and the guardrails of generations."""
