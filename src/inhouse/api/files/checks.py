"""What uploaded files must be for their purpose."""

from __future__ import annotations

from inhouse.kit.errors import InvalidRequest

_LONGEST_NAME = 512
_JSONL = {"batch": "Batch API", "fine-tune": "Fine-Tuning API"}
"""Purposes that take only files named ``.jsonl``, as the official errors call them. What is in them is looked at when
a batch or a fine-tuning job is made of it."""


def check_name(filename: str, purpose: str) -> None:
    """
    Raises:
        InvalidRequest: a file of this name cannot be for this purpose.
    """
    if not filename or len(filename) > _LONGEST_NAME:
        raise InvalidRequest(f"A file needs a name of 1 to {_LONGEST_NAME} characters.", param="file")
    if purpose in _JSONL and not filename.lower().endswith(".jsonl"):
        raise InvalidRequest(f"Invalid file format for {_JSONL[purpose]}. Must be .jsonl")
