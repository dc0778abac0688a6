"""The /v1 surface, one folder a noun."""
