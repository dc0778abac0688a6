"""Trains and measures the moderation head."""
