"""How words that no lexicon has are likely said: a small recurrent network over letters.

The weights are those of g2p-en (Kyubyong Park and Jongseok Kim, Apache-2.0), trained on the CMU Pronouncing
Dictionary: an encoder and a decoder of one GRU layer each (256 units), letters in, ARPAbet out.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

_LETTERS = {letter: index + 3 for index, letter in enumerate("abcdefghijklmnopqrstuvwxyz")}
_END_OF_WORD, _BEGIN, _END = 2, 2, 3
_SOUNDS = [
    "AA",
    "AE",
    "AH",
    "AO",
    "AW",
    "AY",
    "B",
    "CH",
    "D",
    "DH",
    "EH",
    "ER",
    "EY",
    "F",
    "G",
    "HH",
    "IH",
    "IY",
    "JH",
    "K",
    "L",
    "M",
    "N",
    "NG",
    "OW",
    "OY",
    "P",
    "R",
    "S",
    "SH",
    "T",
    "TH",
    "UH",
    "UW",
    "V",
    "W",
    "Y",
    "Z",
    "ZH",
]
_STRESSED = frozenset(["AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"])
_PHONEMES = ["<pad>", "<unk>", "<s>", "</s>"] + [
    name + stress for name in _SOUNDS for stress in (("0", "1", "2") if name in _STRESSED else ("",))
]
_LONGEST = 20
_KOKORO = {
    "AA": "ɑ", "AE": "æ", "AH": "ʌ", "AO": "ɔ", "AW": "W", "AY": "I", "B": "b", "CH": "ʧ", "D": "d", "DH": "ð",
    "EH": "ɛ", "ER": "ɜɹ", "EY": "A", "F": "f", "G": "ɡ", "HH": "h", "IH": "ɪ", "IY": "i", "JH": "ʤ", "K": "k",
    "L": "l", "M": "m", "N": "n", "NG": "ŋ", "OW": "O", "OY": "Y", "P": "p", "R": "ɹ", "S": "s", "SH": "ʃ",
    "T": "t", "TH": "θ", "UH": "ʊ", "UW": "u", "V": "v", "W": "w", "Y": "j", "Z": "z", "ZH": "ʒ",
}  # fmt: skip
_MARKS = {"0": "", "1": "ˈ", "2": "ˌ"}


class Speller:
    """Guesses pronunciations.

    Args:
        path: the network's NumPy archive; read without pickle.
    """

    def __init__(self, path: Path) -> None:
        with np.load(path, allow_pickle=False) as archive:
            self._w: dict[str, Any] = {name: archive[name] for name in archive.files}
        self.guess = lru_cache(4096)(self._guess)

    def _guess(self, word: str) -> str:
        """Phonemes of a word of plain letters; empty if it has none."""
        letters = [_LETTERS[letter] for letter in word.lower() if letter in _LETTERS]
        if not letters:
            return ""
        w, hidden = self._w, np.zeros(256, np.float32)
        for index in [*letters, _END_OF_WORD]:
            hidden = _step(w["enc_emb"][index], hidden, w, "enc")
        out: list[str] = []
        symbol = _BEGIN
        for _ in range(_LONGEST):
            hidden = _step(w["dec_emb"][symbol], hidden, w, "dec")
            symbol = int((hidden @ w["fc_w"].T + w["fc_b"]).argmax())
            if symbol == _END:
                break
            out.append(_PHONEMES[symbol])
        return "".join(_phoneme(each) for each in out)


def _phoneme(symbol: str) -> str:
    name, stress = (symbol[:-1], symbol[-1]) if symbol[-1:].isdigit() else (symbol, "0")
    if name == "AH" and stress == "0":
        return "ə"
    if name == "ER" and stress == "0":
        return "əɹ"
    return _MARKS[stress] + _KOKORO.get(name, "")


def _step(x: Any, hidden: Any, w: dict[str, Any], side: str) -> Any:
    gates = w[f"{side}_w_ih"] @ x + w[f"{side}_b_ih"]
    recurrent = w[f"{side}_w_hh"] @ hidden + w[f"{side}_b_hh"]
    reset, update = np.split(1 / (1 + np.exp(-(gates[:512] + recurrent[:512]))), 2)
    new = np.tanh(gates[512:] + reset * recurrent[512:])
    return (1 - update) * new + update * hidden
