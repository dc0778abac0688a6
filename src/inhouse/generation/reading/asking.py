"""What is asked in the texts around a document, question by question.

What stands around a document is partly the document's own beginning and end: talk, code and manuals ask and order, too.
So the paragraphs at the very beginning and end count, and what is marked as the question.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from inhouse.generation.reading.ranking import STOP, words_of

HEAD, TAIL = 300, 700
"""Characters read whole at the beginning and at the end of a long text, where instructions stand."""
MOST = 8
"""Questions that are searched for by themselves."""
_REQUEST = 600
"""Characters of a paragraph that may be a request without a question mark."""
_AFTERWORDS = 2
"""Paragraphs after a question that say how to answer it."""
_LEAST_WORDS = 3
"""A question with fewer words that say something is read with its paragraph: "How long does it run?"."""

_TAG = re.compile(r"^\s*<[^<>\n]+>|</[^<>\n]+>\s*$", re.MULTILINE)
_PARAGRAPHS = re.compile(r"\n\s*\n")
_BREAK = re.compile(r"[.!?][\"')\]»”*_]*\s+|[。！？؟]|\n+")
_ASKS = re.compile(r"[?？؟][\"')\]»”*_]*$")
_CODE = re.compile(r"[{};]|\w\?\w")
_MARKED = re.compile(
    r"^[\s#*<>\-]*(?:(?:user|the|your|my|final)\s+)?(?:question|query|task|request|frage|aufgabe|pregunta|tarea|问题|問題|質問"
    r"|السؤال|سؤال)[*>\s]*[:：>]\s*(\S[^\n]*)",
    re.IGNORECASE | re.MULTILINE,
)
_REQUESTS = re.compile(
    r"(?:(?:now|please|then|next|and|bitte|por favor|could you|can you|i want you to|i need you to)[, ]+)*"
    r"(?:analy[sz]e|check|cite|classify|collect|compare|complete|contrast|convert|count|create|decide|define|describe|"
    r"determine|draft|enumerate|estimate|evaluate|explain|extract|fetch|find|fix|give|group|highlight|identify|list|"
    r"locate|look|name|outline|paraphrase|point|provide|quote|rank|recall|refactor|remind|report|retell|"
    r"review|rewrite|say|search|show|sort|state|suggest|summari[sz]e|tell|tl;?dr|translate|verify|write|"
    r"beantworte|beschreibe|erkläre|erzähle|fasse|finde|gib|liste|nenne|sage?|schreibe?|suche|übersetze|vergleiche|"
    r"zähle|zeige?|zitiere|explique|montre|liste|donne|cherche|trouve|résume|traduis|compare|dis|"
    r"busca|compara|cuenta|di|enumera|encuentra|explica|resume|muestra|traduce|dime)\b"
    r"|(?:请|請|告诉|告訴|列出|总结|總結|概括|翻译|翻譯|解释|比较|引用|找出)",
    re.IGNORECASE,
)
_ABBREVIATION = re.compile(r"(?:^|[\s(.])(?:[A-Z][a-z]{0,2}|[a-z])\.$")
_ALL = (
    r"(texts?|documents?|conversations?|books?|files?|transcripts?|reports?|inputs?|chapters|sections|records|messages)"
)
_WHOLE = re.compile(
    r"\b(summar\w+|tl;?dr|overview|outline|gist|key (points|takeaways|ideas)|main (points|ideas|themes|topics)|"
    rf"(entire|whole|full) {_ALL}|what (is|are) (this|these|the {_ALL}) about|"
    r"count (all|every|each|the|how)|how (many times|often)|number of (times|occurrences|mentions)|in total\b|"
    r"(list|name|enumerate) (all|every|each)|"
    rf"(compare|contrast|rank|sort|order|group|classify) (all|every|each|the {_ALL})|"
    r"most (common|frequent|often)|zusammenfass\w*|fass\w* .*zusammen|wie oft|überblick|liste alle|résum\w+|"
    r"combien de fois|resum\w+|resúm\w+|cuántas veces|riassum\w+)"
    r"|总结|總結|概括|摘要|要約|まとめ|多少次|요약|لخص|ملخص|كم مرة",
    re.IGNORECASE,
)
"""Questions about the whole: to summarise, to count, to list or compare everything."""


def asks_for_all(question: str) -> bool:
    """Whether a question is about the whole of a text, so that no passage can answer it."""
    return _WHOLE.search(question) is not None


def questions(texts: list[str]) -> list[str]:
    """The questions and requests in the texts around a document, in their order, at most ``MOST``; without any, the
    last and the first paragraph, since one of them may say what is wanted.

    Args:
        texts: beginnings and ends of parts, in their order.
    """
    told = [paragraphs for text in texts if (paragraphs := _paragraphs(text))]
    if not told:
        return []
    found: list[str] = []
    for text in texts:
        found += [_TAG.sub("", match[1]).strip() for match in _MARKED.finditer(text) if not _ASKS.search(match[1])]
    for paragraphs in told:
        found += _at_the_edges(paragraphs)
    for paragraph in (told[0][0], told[-1][-1]):
        if len(paragraph) <= _REQUEST:
            found += [each for each in sentences(paragraph) if _requests(each)]
    last = list(dict.fromkeys(found))[-8 * MOST :]
    if asked := [each for each in last if not any(each != other and each in other for other in last)]:
        clean = [each for each in asked if not _CODE.search(each)]
        return (clean or asked)[-MOST:]
    return list(dict.fromkeys([told[-1][-1][-TAIL:], told[0][0][:HEAD]]))


def _requests(sentence: str) -> bool:
    return _REQUESTS.match(sentence.lstrip(" -*#>1234567890.)")) is not None and not _CODE.search(sentence)


def sentences(text: str) -> Iterator[str]:
    """The sentences and lines of a text. A point in a name, a number or an abbreviation ends none."""
    begin = 0
    for match in _BREAK.finditer(text):
        end = match.end()
        if match[0].startswith(".") and _ABBREVIATION.search(text[begin : match.start() + 1]):
            continue
        if said := text[begin:end].strip():
            yield said
        begin = end
    if said := text[begin:].strip():
        yield said


def asked_in(text: str) -> list[str]:
    """The sentences of a text that end with a question mark."""
    return [each for each in sentences(text) if _ASKS.search(each)]


def _at_the_edges(paragraphs: list[str]) -> list[str]:
    """Questions of the first paragraphs that ask, and of the last ones, after which may be said how to answer."""
    asking = [bool(asked_in(each)) for each in paragraphs]
    kept = set[int]()
    for order in (range(len(paragraphs)), range(len(paragraphs) - 1, -1, -1)):
        passed = 0
        begun = False
        for at in order:
            if asking[at]:
                begun = True
                kept.add(at)
            elif begun or passed >= _AFTERWORDS:
                break
            else:
                passed += 1
    return [question for at in sorted(kept) for question in _within(paragraphs[at])]


def _within(paragraph: str) -> list[str]:
    found = asked_in(paragraph)
    if len(found) == 1 and len(paragraph) <= _REQUEST:
        said = sum(word not in STOP for word in words_of(found[0]))
        if said < _LEAST_WORDS:
            return [paragraph]
    return found


def _paragraphs(text: str) -> list[str]:
    return [said for each in _PARAGRAPHS.split(_TAG.sub("\n\n", text)) if (said := each.strip())]
