"""Identifiers with the official prefixes and lengths, from the system's random source."""

from __future__ import annotations

import os
from threading import Lock

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


_BLOCK = 4096
"""Bytes asked of the system at once: each question costs more than an id."""


class _Randomness:
    """The system's random bytes, each given once: to one thread, and never to a parent and its child."""

    def __init__(self) -> None:
        self.forget()
        os.register_at_fork(after_in_child=self.forget)

    def forget(self) -> None:
        self._lock = Lock()
        self._block = b""
        self._at = 0

    def take(self, count: int) -> bytes:
        with self._lock:
            end = self._at + count
            if end > len(self._block):
                self._block, self._at, end = os.urandom(max(_BLOCK, count)), 0, count
            taken = self._block[self._at : end]
            self._at = end
            return taken


_random = _Randomness().take


def new_id(prefix: str, length: int | None = None) -> str:
    """A fresh identifier: ``prefix`` and random characters, as many and of the kind the official service uses for it.

    Args:
        prefix: with its separator, e.g. ``chatcmpl-`` or ``resp_``. Unknown prefixes get 24 letters and digits.
        length: how many random letters and digits instead (assistants' ``msg_`` has 24, for example).
    """
    if length is None:
        digits = _DIGITS_OF.get(prefix)
        if digits is not None:
            return prefix + _random(digits >> 1).hex()
        length = _LETTERS_OF.get(prefix, _LETTERS)
    letters = _random(length + 8).translate(_LETTER, _UNFAIR)
    while len(letters) < length:
        letters += _random(length).translate(_LETTER, _UNFAIR)
    return prefix + letters[:length].decode("ascii")


def request_id() -> str:
    """``req_`` and 32 hexadecimal digits, as in the ``x-request-id`` header."""
    return "req_" + _random(16).hex()
