"""Identifiers with the official prefixes and lengths, from the system's random source."""

from __future__ import annotations

import os

_ALPHABET = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_FAIR = len(_ALPHABET) * 4
# 248 of 256 byte values map evenly onto 62 letters; the rest are dropped, so that every letter is equally likely.
_LETTER = bytes(_ALPHABET[byte % len(_ALPHABET)] for byte in range(256))
_UNFAIR = bytes(range(_FAIR, 256))

_LETTERS = 24
_LETTERS_OF = {"chatcmpl-": 29, "cmpl-": 29}
# Prefixes that the official service follows with hexadecimal digits, and how many.
_DIGITS_OF = {
    "resp_": 48,
    "msg_": 48,
    "fc_": 48,
    "ctc_": 48,
    "rs_": 48,
    "ws_": 48,
    "fs_": 48,
    "ci_": 48,
    "ig_": 48,
    "mcp_": 48,
    "mcpl_": 48,
    "mcpr_": 48,
    "conv_": 48,
    "cntr_": 48,
    "cfile_": 48,
    "vs_": 32,
    "vsfb_": 32,
    "batch_": 32,
    "batch_req_": 32,
    "upload_": 32,
    "part_": 32,
    "req_": 32,
}


def new_id(prefix: str, length: int | None = None) -> str:
    """A fresh identifier: ``prefix`` and random characters, as many and of the kind the official service uses for it.

    Args:
        prefix: with its separator, e.g. ``chatcmpl-`` or ``resp_``. Unknown prefixes get 24 letters and digits.
        length: how many random letters and digits instead (assistants' ``msg_`` has 24, for example).
    """
    if length is None:
        digits = _DIGITS_OF.get(prefix)
        if digits is not None:
            return prefix + os.urandom(digits >> 1).hex()
        length = _LETTERS_OF.get(prefix, _LETTERS)
    letters = os.urandom(length + 8).translate(_LETTER, _UNFAIR)
    while len(letters) < length:
        letters += os.urandom(length).translate(_LETTER, _UNFAIR)
    return prefix + letters[:length].decode("ascii")


def request_id() -> str:
    """``req_`` and 32 hexadecimal digits, as in the ``x-request-id`` header."""
    return "req_" + os.urandom(16).hex()
