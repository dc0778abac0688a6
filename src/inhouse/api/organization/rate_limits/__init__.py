"""Rate limits of a project."""
