"""Webhook endpoints of a project."""
