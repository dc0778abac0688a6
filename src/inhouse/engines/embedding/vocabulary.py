"""The tokens that the contract counts, bills and accepts as input: cl100k_base, whatever model answers.

Clients split texts and send token ids by this vocabulary, so a text and its ids must give the same vector here. Its
ranks are a file of the weights cache, so ``tiktoken`` has nothing to fetch.
"""

from __future__ import annotations

import base64
from pathlib import Path

import tiktoken

from inhouse.engines.embedding.shapes import Input
from inhouse.engines.hosting import Stop
from inhouse.engines.protocol import Refused

# The published pattern and special tokens of the encoding.
PATTERN = (
    r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]"""
    r"""|\s+(?!\S)|\s"""
)
SURELY_TOO_LONG = 1 << 20
"""Characters. The longest token has 128 bytes, so more characters than this are more than 8,192 tokens."""
SLICE = 1 << 16
SPECIAL = {
    "<|endoftext|>": 100257,
    "<|fim_prefix|>": 100258,
    "<|fim_middle|>": 100259,
    "<|fim_suffix|>": 100260,
    "<|endofprompt|>": 100276,
}


class Vocabulary:
    """cl100k_base from its file of ranks."""

    def __init__(self, ranks: Path) -> None:
        lines = (line.split() for line in ranks.read_bytes().splitlines())
        self._encoding = tiktoken.Encoding(
            "cl100k_base",
            pat_str=PATTERN,
            mergeable_ranks={base64.b64decode(token): int(rank) for token, rank in lines},
            special_tokens=SPECIAL,
        )

    @property
    def encoding(self) -> tiktoken.Encoding:
        return self._encoding

    def count(self, given: Input, stop: Stop) -> int:
        """Tokens of an input; what looks like a special token in a text is text.

        A text beyond ``SURELY_TOO_LONG`` is counted in slices, so a few more: it is refused all the same, and it does
        not hold a thread that nobody waits for.
        """
        if isinstance(given, list):
            return len(given)
        size = SLICE if len(given) > SURELY_TOO_LONG else SURELY_TOO_LONG
        count = 0
        for start in range(0, len(given), size):
            stop.check()
            count += len(self._encoding.encode_ordinary(given[start : start + size]))
        return count

    def text(self, given: Input) -> str:
        """The input as text. Bytes of a character that was cut apart become U+FFFD.

        Raises:
            Refused: an id that the vocabulary lacks.
        """
        if isinstance(given, str):
            return given
        try:
            return self._encoding.decode(given)
        except (KeyError, OverflowError):
            wrong = next(token for token in given if not self._known(token))
            raise Refused(f"Invalid token id: {wrong}.", param="input") from None

    def _known(self, token: int) -> bool:
        try:
            self._encoding.decode_single_token_bytes(token)
        except (KeyError, OverflowError):
            return False
        return True
