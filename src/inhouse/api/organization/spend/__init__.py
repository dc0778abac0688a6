"""Monthly limits and alerts."""
