"""API keys: of projects, of service accounts, for administration."""
