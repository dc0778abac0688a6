"""Model objects."""
