"""Legacy Completions."""
