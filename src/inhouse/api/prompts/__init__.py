"""Saved prompts."""
