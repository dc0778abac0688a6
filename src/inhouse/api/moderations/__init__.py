"""Moderations."""
