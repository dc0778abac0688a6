"""Text to words to phonemes, with small lexicons made here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inhouse.engines.speech.normalization import normalize
from inhouse.engines.speech.numbers import cardinal, decimal, ordinal, year
from inhouse.engines.speech.phonemes import Lexicons
from inhouse.engines.speech.piper import phonetic
from inhouse.engines.speech.sentences import MOST, portions
from inhouse.engines.speech.spelling import Speller
from inhouse.engines.speech.utterances import MAX_PHONEMES, Unspeakable, utterances
from inhouse.engines.speech.voices import KOKORO, OFFICIAL, accent_of, voice_of


@pytest.mark.parametrize(
    ("digits", "words"),
    [
        ("0", "zero"),
        ("7", "seven"),
        ("13", "thirteen"),
        ("90", "ninety"),
        ("101", "one hundred one"),
        ("1000000", "one million"),
        ("1204", "one thousand two hundred four"),
        ("1" * 19, " ".join(["one"] * 19)),
    ],
)
def test_cardinals(digits: str, words: str) -> None:
    assert cardinal(digits) == words


@pytest.mark.parametrize(
    ("digits", "words"),
    [("1", "first"), ("12", "twelfth"), ("20", "twentieth"), ("21", "twenty first"), ("100", "one hundredth")],
)
def test_ordinals(digits: str, words: str) -> None:
    assert ordinal(digits) == words


@pytest.mark.parametrize(
    ("digits", "words"),
    [
        ("1984", "nineteen eighty four"),
        ("1901", "nineteen oh one"),
        ("1900", "nineteen hundred"),
        ("2005", "two thousand five"),
        ("2024", "twenty twenty four"),
    ],
)
def test_years(digits: str, words: str) -> None:
    assert year(digits) == words


def test_decimals() -> None:
    assert decimal("1,234.50") == "one thousand two hundred thirty four point five zero"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Dr. Smith", "Doctor Smith"),
        ("Baker St. in London", "Baker Street in London"),
        ("St. James", "Saint James"),
        ("$3.50", "three dollars and fifty cents"),
        ("$1", "one dollar"),
        ("£2 million", "two million pounds"),
        ("€1,204", "one thousand two hundred four euros"),
        ("50%", "fifty percent"),
        ("at 3:30pm", "at three thirty P M"),
        ("at 10:05", "at ten oh five"),
        ("the 21st", "the twenty first"),
        ("the 1990s", "the nineteen nineties"),
        ("7,000,000 things", "seven million things"),
        ("No. 5", "number five"),
        ("No.", "No."),
        ("10kg", "ten kilograms"),
        ("1 km", "one kilometer"),
        ("agent 007", "agent zero zero seven"),
        ("-5", "minus five"),
        ("1-3", "one to three"),
        ("www.example.com", "example dot com"),
        ("me@host.org", "me at host dot org"),
        ("café", "cafe"),
        ("e.g. this", "for example this"),
        ("A & B", "A and B"),
        ("call 555-1234", "call five five five, one two three four"),
        ("", ""),
    ],
)
def test_what_a_reader_would_say(text: str, said: str) -> None:
    assert normalize(text).split() == said.split()


@given(st.text(max_size=200))
def test_any_text_is_normalized_without_digits(text: str) -> None:
    assert not set(normalize(text)) & set("0123456789%&@#")


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=1500))
def test_portions_keep_every_character_but_space(text: str) -> None:
    parts = list(portions(text))
    assert all(parts)
    assert all(len(part) <= MOST for part in parts)
    kept = "".join("".join(part.split()) for part in parts)
    assert len(kept) <= len("".join(text.split()))


def test_portions_begin_small() -> None:
    text = "The first sentence, which goes on for a while, is cut. " + "Then come others, as they are. " * 12
    first, *others = portions(text)
    assert first == "The first sentence,"
    assert " ".join([first, *others]) == text.strip()
    assert max(map(len, others)) > 100


def test_a_word_without_end_is_cut() -> None:
    assert list(portions("x" * 500)) == ["x" * MOST, "x" * MOST, "x" * (500 - 2 * MOST)]


@pytest.fixture
def speller(tmp_path: Path) -> Speller:
    """A network that says "T" once for any word, whatever it reads."""
    rng = np.random.default_rng(0)
    sizes = {"enc": 29, "dec": 74}
    arrays = {}
    for side, count in sizes.items():
        arrays[f"{side}_emb"] = rng.normal(size=(count, 256)).astype(np.float32)
        for name in ("w_ih", "w_hh"):
            arrays[f"{side}_{name}"] = np.zeros((768, 256), np.float32)
        for name in ("b_ih", "b_hh"):
            arrays[f"{side}_{name}"] = np.zeros(768, np.float32)
    # The first step leaves the state at zero, so the bias decides; an end never comes: the guess is bounded.
    arrays["fc_w"], arrays["fc_b"] = np.zeros((74, 256), np.float32), np.zeros(74, np.float32)
    arrays["fc_b"][62] = 1
    path = tmp_path / "net.npz"
    np.savez(path, **arrays)
    return Speller(path)


@pytest.fixture
def lexicons(tmp_path: Path, speller: Speller) -> Lexicons:
    gold = {
        "the": "ði", "hello": "həlˈO", "cat": "kˈæt", "dog": "dˈɔɡ", "box": "bˈɑks", "want": "wˈɑnt", "stop": "stˈɑp",
        "carry": "kˈæɹi", "read": {"DEFAULT": "ɹˈid", "VBN": "ɹˈɛd"},
        "record": {"DEFAULT": "ɹˈɛkəɹd", "VERB": "ɹəkˈɔɹd"},
        "open": "ˈOpᵊn", "A": "ˈA", "I": "ˈI", "U": "jˈu", "S": "ˈɛs", "have": "hæv", "apple": "ˈæpᵊl", "make": "mˈAk",
    }  # fmt: skip
    (tmp_path / "gold.json").write_text(json.dumps(gold))
    (tmp_path / "silver.json").write_text(json.dumps({"grommet": "ɡɹˈɑmət", "hello": "wrong"}))
    return Lexicons("us", tmp_path / "gold.json", tmp_path / "silver.json", speller)


@pytest.mark.parametrize(
    ("text", "phonemes"),
    [
        ("Hello, cat!", "həlˈO, kˈæt!"),
        ("the cat", "ðə kˈæt"),
        ("the apple", "ði ˈæpᵊl"),
        ("cats", "kˈæts"),
        ("dogs", "dˈɔɡz"),
        ("boxes", "bˈɑksᵻz"),
        ("cat's", "kˈæts"),
        ("carries", "kˈæɹiz"),
        ("wanted", "wˈɑntɪd"),
        ("stopped", "stˈɑpt"),
        ("stopping", "stˈɑpɪŋ"),
        ("making", "mˈAkɪŋ"),
        ("carried", "kˈæɹid"),
        ("have read", "hæv ɹˈɛd"),
        ("read", "ɹˈid"),
        ("a record", "ɐ ɹˈɛkəɹd"),
        ("to record", "tə ɹəkˈɔɹd"),
        ("AI", "ˌAˈI"),
        ("U.S.A", "jˌuˌɛsˈA"),
        ("openAI", "ˈOpᵊn ˌAˈI"),
        ("grommet", "ɡɹˈɑmət"),
        ("日本語", ""),
        ("...", "."),
    ],
)
def test_phonemes(lexicons: Lexicons, text: str, phonemes: str) -> None:
    assert lexicons.phonemes(text) == phonemes


def test_a_word_that_nobody_knows_is_guessed_and_the_guess_is_bounded(lexicons: Lexicons, speller: Speller) -> None:
    guess = speller.guess("blorp")
    assert guess
    assert len(set(guess)) == 1
    assert lexicons.phonemes("blorp") == guess
    assert speller.guess("123") == ""


@given(st.text(max_size=100))
def test_any_text_has_phonemes_or_none(text: str) -> None:
    class Silent(Speller):
        def __init__(self) -> None:
            self.guess = lambda word: ""  # type: ignore[assignment]

    made = Lexicons.__new__(Lexicons)
    made._entries, made._speller, made._accent = {}, Silent(), "us"
    assert isinstance(made.phonemes(normalize(text)), str)


def test_the_thirteen_voices_are_all_different_and_there() -> None:
    assert len(OFFICIAL) == len(set(OFFICIAL.values())) == 13
    assert set(OFFICIAL.values()) <= set(KOKORO)
    assert voice_of("alloy") == "af_alloy"
    assert voice_of("bf_emma") == "bf_emma"
    assert voice_of("../etc") is None
    assert accent_of("bm_fable") == "gb"
    assert accent_of("af_heart") == "us"


@pytest.mark.parametrize(
    ("lexicons", "espeak"),
    [
        ("ɡˈO", "ɡˈoʊ"),
        ("kwˈik", "kwˈiːk"),
        ("hˈæpi", "hˈæpi"),
        ("dˈɪnəɹ", "dˈɪnɚ"),
        ("wˈɜɹd", "wˈɜːd"),
        ("ʧˈYs", "tʃˈɔɪs"),
        ("ʤˈʌmp, fɔɹ", "dʒˈʌmp, fɔːɹ"),
    ],
)
def test_phonemes_as_another_voice_knows_them(lexicons: str, espeak: str) -> None:
    assert phonetic(lexicons) == espeak


def test_a_text_is_said_in_utterances_with_pauses() -> None:
    told = list(utterances("One. " + "A much longer sentence follows here. " * 30, lambda portion: portion * 5))
    assert all(len(phonemes) <= MAX_PHONEMES for phonemes, _ in told)
    assert {pause for _, pause in told} <= {0.05, 0.35}
    with pytest.raises(Unspeakable):
        next(utterances("...", lambda portion: portion))
