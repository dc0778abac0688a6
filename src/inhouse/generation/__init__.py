"""The one core behind every generating endpoint: items in, events out."""
