"""What is taken for the question, and that what it needs is among the passages: prompts as people write them."""

from __future__ import annotations

import base64
import random

import pytest
from bench.haystack import haystack, hide

from inhouse.generation.items import GenerationRequest, Item, Message, Text
from inhouse.generation.reading.asking import asks_for_all, questions, sentences
from inhouse.generation.reading.excerpts import excerpts
from inhouse.generation.reading.plan import plan
from inhouse.generation.reading.shelf import Shelf

BLOCKS = haystack(150_000)
BURNED = "Elspeth confessed to the vicar that she had burned the will."
KEPT = "The vicar kept the scorched pages in a tin under the organ."
NOVEL = hide(BLOCKS, {BURNED: 0.3, KEPT: 0.7})


def user(*texts: str) -> Message:
    return Message("user", tuple(Text(text) for text in texts))


async def read(*items: Item, characters: int = 5_000) -> str:
    """What would be read, with the question."""
    found = await excerpts(
        Shelf(), "p", GenerationRequest(items=items), characters=characters, most_whole=10_000, per_token=4.0
    )
    shown = found.with_passages(found.passages_within(characters))
    return "\n".join(item.text for item in shown.items if isinstance(item, Message))


def asked(*texts: str) -> list[str]:
    return plan((user(*texts),), 20_000).questions


@pytest.mark.parametrize(
    "question",
    [
        "What is in src/inhouse/generation/tokens.py?",
        "What is the balance of user41234@example.org?",
        "What is Dr. Ferreira's telephone extension?",
        "Who paid 3.50 euros?",
        "ما هو رمز الخزنة في مكتب المدير؟",
        "保险箱的密码是什么？",
        "Show the function content_key.",
        "Sage mir, wo der Schlüssel ist.",
        "请告诉我保险箱的密码。",
    ],
)
def test_a_question_stays_whole_and_alone(question: str) -> None:
    assert asked(f"{NOVEL}\n\n{question}") == [question]
    assert asked(f"{question}\n\n{NOVEL}") == [question]


def test_talk_and_code_at_the_end_of_a_document_are_not_the_question() -> None:
    code = "function a1(e,t){var n=e.length;return t?n:null}" * 4
    assert asked(f"{NOVEL}\n\n{code}\n\nWho burned the will?") == ["Who burned the will?"]
    talk = '"Who are you?" he said. "And why?"'
    assert "Summarise the text." in asked(f"{NOVEL}\n\n{talk}\n\nSummarise the text.")


def test_templates() -> None:
    tagged = f'<documents>\n<document index="1">\n{NOVEL}\n</document>\n</documents>\n'
    assert asked(f"{tagged}\n<question>Who burned the will</question>\n<format>json</format>") == [
        "Who burned the will"
    ]
    template = f"Use the following context to answer.\n\nContext:\n{NOVEL}\n\nQuestion: who burned the will\nAnswer:"
    assert asked(template) == ["who burned the will"]


def test_nothing_asked() -> None:
    assert questions([]) == questions(["", "\n\n"]) == []
    assert questions(["A heading\n\nFirst words.", "More.\n\nThe last words"]) == ["The last words", "A heading"]
    assert len(questions(["Why? " * 5_000])) == 1
    assert list(sentences("One 1.5. Two (e.g. three)? Four")) == ["One 1.5.", "Two (e.g. three)?", "Four"]


def test_what_says_too_little_is_asked_with_what_was_said_before() -> None:
    turns = (user(NOVEL), Message("assistant", (Text("It is a story of Elspeth."),)), user("continue"))
    assert plan(turns, 20_000).questions == ["continue", "It is a story of Elspeth."]
    turns = (user("Who burned the will?"), *turns)
    assert plan(turns, 20_000).questions == ["continue", "Who burned the will?"]


@pytest.mark.parametrize("before", [False, True])
async def test_each_of_many_questions_gets_its_passages(before: bool) -> None:
    facts = {
        "Elspeth burned the will in the oven.": "Who burned the will?",
        "The scorched pages lie under the organ.": "Where are the scorched pages?",
        "The access code for the archive of Ulm is 5512377.": "What is the access code of Ulm?",
        "Old Pavel painted the crooked door.": "Who painted the crooked door?",
        "The mast of the ketch has 31 rivets.": "How many rivets has the mast of the ketch?",
        "The cook served pickled herring.": "What did the cook serve?",
    }
    novel = hide(BLOCKS, {fact: (n + 0.5) / len(facts) for n, fact in enumerate(facts)})
    listed = "Please answer these:\n" + "\n".join(f"{n}. {each}" for n, each in enumerate(facts.values(), 1))
    told = await read(user(f"{listed}\n\n{novel}" if before else f"{novel}\n\n{listed}"))
    assert [fact for fact in facts if fact not in told] == []


async def test_what_the_document_begins_with_does_not_drown_a_request() -> None:
    wanted = f"{NOVEL}\n\nAnswer in French, and be polite. Do not invent anything. Tell who burned the will"
    assert BURNED in await read(user(wanted))


async def test_a_name_is_one_thing_and_its_definition_goes_first() -> None:
    uses = "\n".join(
        f"def use_{n}(size):\n    # {'checks the size of an event ' * 8}\n    return size > MAX_EVENT_BYTES\n"
        for n in range(300)
    )
    module = f"{uses[:20_000]}\nMAX_EVENT_BYTES = 32 << 20\n{uses[20_000:]}"
    assert "= 32 << 20" in await read(user(f"{module}\n\nWhat is MAX_EVENT_BYTES?"), characters=2_000)


async def test_a_quotation_is_one_thing() -> None:
    shuffled = " ".join(f"The red bell of the third tower number {n} rang. The tower is red." for n in range(3_000))
    text = f"{shuffled[:90_000]} They met at the third red tower, by the bell. {shuffled[90_000:]}"
    told = await read(user(f'{text}\n\nWho met where it says "the third red tower, by the bell"?'), characters=2_000)
    assert "They met at the third red tower" in told


async def test_a_word_inside_of_a_longer_one() -> None:
    rng = random.Random(4)
    blob = "".join(rng.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=200_000))
    assert "=42;" in await read(user(f"{blob}thesecretis=42;{blob}\n\nWhat is thesecretis?"), characters=2_000)
    code = "".join(f"function f{n}(e){{return e.zone+{n}}}" for n in range(6_000))
    code = f"{code[:90_000]}function computeShippingCost(e){{return e.weight*4.25}}{code[90_000:]}"
    assert "e.weight*4.25" in await read(user(f"{code}\n\nHow is the shipping cost computed?"), characters=2_000)


async def test_a_sentence_on_which_a_segment_ends_is_read_whole() -> None:
    """The only blanks for far around are in it, so that is where the text is cut."""
    blob = base64.b64encode(random.Random(1).randbytes(100_000)).decode()
    text = f"Attachment:\n{blob}\n\nThe invoice total is 345 euros.\n\n{blob}\n\nWhat is the invoice total?"
    assert "The invoice total is 345 euros." in await read(user(text))


async def test_a_sample_of_all_has_what_the_question_names() -> None:
    told = await read(user(f"{NOVEL}\n\nList all people who speak with the vicar."))
    assert BURNED in told
    assert KEPT in told


@pytest.mark.parametrize("text", ["请总结这篇文章。", "Fasse das Buch zusammen.", "لخص هذا النص", "この文章を要約して"])
def test_summaries_are_asked_for_in_other_languages(text: str) -> None:
    assert asks_for_all(text)
