"""Usage and costs."""
