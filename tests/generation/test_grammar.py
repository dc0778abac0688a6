from __future__ import annotations

import re

import lark
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inhouse.generation.grammar import HEADER, MAX_DEFINITION, Follower, compile_definition, regex_terminal
from inhouse.kit.errors import InvalidRequest

PARAM = "tools[0].custom.format.grammar.definition"

LARK = {
    "left recursion": 'start: expr\nexpr: expr "+" term | term\nterm: NUM | "(" expr ")"\nNUM: /[0-9]{1,3}/\n',
    "indirect left recursion": 'start: a\na: b "x" | "1"\nb: a "y" | "2"\n',
    "repetition": 'start: "a"? ("b" | "c")* "d"+ "e"~2 "f"~1..3 ["g"]\n',
    "what looks like repetition": 'start: "~1..3" /~1..3[.]2:/ "a".."c" // ~1..3\n',
    "empty alternative": 'start: "x" ("y" | )\n',
    "case-insensitive": 'start: "select"i " " /[a-z]+/i\n',
    "ranges": 'start: ("a".."f" | "0".."9")~4\n',
    "terminals of terminals": 'start: ID ("," ID)*\nID: LETTER (LETTER | DIGIT)*\nLETTER: "a".."z"\nDIGIT: "0".."9"\n',
    "priorities": 'start: A | B\nA.2: "if"\nB.-1: /[a-z]{2}/\n',
    "aliases and marks": '?start: sum\n!sum: NUM "+" NUM -> add\n  | NUM\nNUM: /[1-9]/\n',
    "comments": '// a comment\nstart: "x" // and another\n',
    "common": '%import common.INT\n%import common (CNAME, WS_INLINE)\nstart: CNAME "=" INT\n%ignore WS_INLINE\n',
    "renamed import": "%import common.SIGNED_INT -> N\nstart: N\n",
    "ignore": 'start: "[" (WORD ("," WORD)*)? "]"\nWORD: /[a-z]+/\n%ignore /[ \\n]{1,3}/\n',
    "escapes": 'start: "\\"" /[^"\\\\\\/]{1,4}/ "\\\\" "\\n"\n',
    "nested": 'start: value\nvalue: "[" [value ("," value)*] "]" | /[0-9]/\n',
}

REGEX = [
    r"abc",
    r"a|bc|",
    r"^[0-9]{4}-[0-9]{2}$",
    r"(?:foo|ba[rz])+",
    r"[^/\n]{1,5}/[a-z]*",
    r"\d{2}\s\w+",
    r"(?i)hello",
    r"a{2,}b?c*",
    r"(?P<year>[12][0-9]{3})",
    r"[\[\]\\^-]{2}",
    r"\{\}\.\*",
    r"é+|日本",
    r"https?://[a-z]+(/[a-z]*)?",
    "a\nb",
]


@pytest.mark.parametrize("case", LARK)
def test_what_a_lark_grammar_allows_parses_with_lark(case: str, sentence):
    definition = LARK[case]
    parser = lark.Lark(definition, parser="earley", lexer="dynamic_complete")
    grammar = HEADER + compile_definition("lark", definition, param=PARAM)
    texts = [text for seed in range(25) if (text := sentence(grammar, seed)) is not None]
    assert len(texts) >= 5
    for text in texts:
        parser.parse(text)


@pytest.mark.parametrize("pattern", REGEX)
def test_what_a_regex_allows_matches_it(pattern: str, sentence):
    grammar = HEADER + compile_definition("regex", pattern, param=PARAM)
    for seed in range(25):
        text = sentence(grammar, seed)
        if text is not None:
            assert re.fullmatch(pattern, text), text


PIECES = st.sampled_from(
    ["a", "[b-d]", "(e|f)", "(?:g)", "h?", "i*", "j+", "k{2}", "l{1,3}", r"\.", "/", r"\/", "[^a-y]", "[/]", "|", "é"]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(PIECES, min_size=1, max_size=6), st.integers(0, 1_000))
def test_any_regex_of_these_pieces(sentence, pieces: list[str], seed: int):
    pattern = "".join(pieces)
    text = sentence(HEADER + compile_definition("regex", pattern, param=PARAM), seed)
    assert text is None or re.fullmatch(pattern, text)


def test_a_regex_spans_the_whole_text():
    grammar = HEADER + compile_definition("regex", "ab?", param=PARAM)
    assert not Follower(grammar).feed("xab")
    assert not Follower(grammar).feed("abb")
    follower = Follower(grammar)
    assert follower.feed("a")
    assert follower.complete


def test_regex_terminal():
    assert regex_terminal("a/b") == r"/a\/b/"
    assert regex_terminal(r"a\/b") == r"/a\/b/"
    assert regex_terminal(r"a\\/b") == r"/a\\\/b/"
    assert regex_terminal("") == '""'


@pytest.mark.parametrize(
    ("syntax", "definition", "words"),
    [
        ("lark", "start: missing", 'unknown name: "missing"'),
        ("lark", 'begin: "a"', "no start rule"),
        ("lark", "", "Empty grammar"),
        ("lark", 'start: "a', "lexer error"),
        ("lark", "start: /(?=a)b/", "look-around"),
        ("lark", 'start: x{"a"}\nx{y}: y', ""),
        ("lark", "%declare A\nstart: A", "declare"),
        ("lark", "%import .secrets.PASSWORD\nstart: PASSWORD", "Unknown common regex"),
        ("lark", "%import python.NAME\nstart: NAME", "python.NAME"),
        ("lark", "start: <|im_end|>", "special tokens"),
        ("lark", "start: <[5]>", "special tokens"),
        ("lark", '%llguidance {"no_forcing": true}\nstart: "a"', "not allowed"),
        ("lark", 'start: %json {"type": "array", "minItems": 1000000000}', "%json is not allowed"),
        ("lark", 'start: %lark { start: %json {"type": "array", "minItems": 1000000000} }', "not allowed"),
        ("lark", "start: @other", "unknown grammar"),
        ("regex", "(", "unclosed group"),
        ("regex", "(?=a)b", "look-around"),
        ("regex", "a(?<!b)", "look-around"),
        ("regex", r"(a)\1", "backreferences"),
        ("regex", r"\bword\b", "lookarounds"),
        ("regex", "(a{1000}){1000}", "too many"),
    ],
)
def test_what_cannot_be_compiled_is_refused(syntax, definition: str, words: str):
    with pytest.raises(InvalidRequest) as refused:
        compile_definition(syntax, definition, param=PARAM)
    assert refused.value.message.startswith(f"Invalid {syntax} grammar: ")
    assert words in refused.value.message
    assert refused.value.param == PARAM


def test_a_definition_has_a_size():
    with pytest.raises(InvalidRequest, match="string too long"):
        compile_definition("regex", "a" * (MAX_DEFINITION + 1), param=PARAM)


def test_positions_are_the_clients():
    with pytest.raises(InvalidRequest, match=r"at 2\(\d\): unknown name"):
        compile_definition("lark", 'start: x\nx: y "a"', param=PARAM)
