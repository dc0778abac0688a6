from __future__ import annotations

from inhouse.engines.llama.client import Chunk, Probability, Progress, Timings
from inhouse.engines.llama.run import Run
from inhouse.engines.protocol import Completion, Finished, Piece


def run(max_tokens: int = 50, *, resumable: bool = True, logprobs: int | None = None) -> Run:
    request = Completion(prompt=[1, 2, 3], max_tokens=max_tokens, logprobs=logprobs)
    return Run(request, resumable=resumable, window=100)


async def no_tokens(_: str) -> list[int]:
    raise AssertionError("every id is known")


def test_tokens_wait_for_their_text() -> None:
    it = run()
    assert it.take([Chunk("", [7], tokens_predicted=1), Chunk("", [8], tokens_predicted=2)]) == []
    assert it.take([Chunk("abc", [9], tokens_predicted=3)]) == [Piece("abc", [7, 8, 9], count=3)]


def test_the_end() -> None:
    it = run()
    it.take([Chunk("a", [7], tokens_predicted=1), Chunk("", [0], tokens_predicted=2)])
    timings = Timings(cache_n=2, prompt_ms=5.0, predicted_ms=9.0)
    [end] = it.take([Chunk(stop=True, tokens_predicted=2, stop_type="word", stopping_word="x", timings=timings)])
    assert end == Finished(
        reason="stop",
        prompt_tokens=3,
        cached_tokens=2,
        completion_tokens=2,
        prefill_ms=5.0,
        decode_ms=9.0,
        stop_sequence="x",
    )
    assert it.finished is end


def test_end_tokens_have_no_log_probability() -> None:
    it = run(logprobs=0)
    known = Probability(7, "a", [97], -0.5, [Probability(7, "a", [97], -0.5)])
    end = Probability(0, "", [], -0.1)
    it.take([Chunk("", [7], tokens_predicted=1, completion_probabilities=[known])])
    [piece] = it.take([Chunk("a", [0], tokens_predicted=2, completion_probabilities=[end])])
    assert isinstance(piece, Piece)
    assert [(one.token, one.logprob, one.top) for one in piece.logprobs] == [("a", -0.5, [])]
    assert piece.tokens == [7]
    assert piece.count == 2


async def test_it_goes_on_after_what_was_told() -> None:
    it = run(max_tokens=10)
    assert it.take([Chunk("", [0], prompt_progress=Progress(cache=2))]) == []
    it.take(
        [Chunk("a", [7], tokens_predicted=1), Chunk("b", [8], tokens_predicted=2), Chunk("", [9], tokens_predicted=3)]
    )
    assert await it.lose_place(no_tokens) is None
    assert it.part.prompt == [1, 2, 3, 7, 8], "text that was held back is made anew"
    assert it.part.max_tokens == 8
    [piece] = it.take([Chunk("c", [5], tokens_predicted=1)])
    assert piece == Piece("c", [5], count=1, cached_tokens=2)
    [end] = it.take([Chunk(stop=True, tokens_predicted=1, stop_type="eos", timings=Timings(cache_n=5))])
    assert isinstance(end, Finished)
    assert (end.completion_tokens, end.prompt_tokens, end.cached_tokens) == (3, 3, 2)


async def test_ids_kept_back_are_made_from_the_text() -> None:
    it = run()
    it.take([Chunk("é", [8], tokens_predicted=2)])

    async def tokenize(text: str) -> list[int]:
        assert text == "é"
        return [40, 8]

    assert await it.lose_place(tokenize) is None
    assert it.part.prompt == [1, 2, 3, 40, 8]


async def test_a_constrained_one_ends_instead_unless_nothing_was_told() -> None:
    it = run(resumable=False)
    it.take([Chunk("", [7], tokens_predicted=1)])
    assert await it.lose_place(no_tokens) is None
    assert it.part == it.request
    it.take([Chunk("{", [7], tokens_predicted=1), Chunk("a", [9], tokens_predicted=2)])
    end = await it.lose_place(no_tokens)
    assert end is not None
    assert (end.reason, end.completion_tokens) == ("length", 2)
