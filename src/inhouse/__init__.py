"""Inhouse: a model platform with the contracts of the OpenAI API, on the user's own machines."""

__version__ = "0.1.0"
