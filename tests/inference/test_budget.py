from dataclasses import replace

import pytest
from scripted import Scripted

from minireason.inference.backend import Turn
from minireason.inference.budget import respond_within, stream_within
from minireason.inference.resolve import open_local
from minireason.rollout.sampling import SamplingParams

QUESTION = [{"role": "user", "content": "What is 12 + 30?"}]
TURN = Turn(QUESTION, SamplingParams(max_tokens=50))
THOUGHTS = "<think>one two three four five six</think>\n\nIt is 42."


def streamed(backend, turn, budget):
    pieces = list(stream_within(backend, turn, budget))
    assert "".join(piece.text for piece in pieces) == pieces[-1].response.text
    return pieces[-1].response


@pytest.mark.parametrize("ask", [lambda *a: respond_within(a[0], [a[1]], a[2])[0], streamed])
def test_thinking_is_closed_at_its_budget_and_the_answer_follows(ask):
    response = ask(Scripted(THOUGHTS), TURN, 3)
    assert response.text == "<think>one two three \n</think>\n\nIt is 42."
    assert (response.finish_reason, response.num_tokens) == ("stop", 6)


@pytest.mark.parametrize("ask", [lambda *a: respond_within(a[0], [a[1]], a[2])[0], streamed])
def test_thinking_that_begins_in_the_prompt_is_closed_too(ask):
    backend = Scripted("one two three</think>yes", starts_thinking=True)
    assert ask(backend, TURN, 1).text == "one \n</think>\n\nyes"


@pytest.mark.parametrize("ask", [lambda *a: respond_within(a[0], [a[1]], a[2])[0], streamed])
@pytest.mark.parametrize("text", ["no marks here, only six words", "<think>a</think>b c d e f g"])
def test_what_is_no_thinking_goes_on_as_it_would(ask, text):
    assert ask(Scripted(text), TURN, 3).text == text


def test_the_token_limit_bounds_both_parts_together():
    turn = Turn(QUESTION, SamplingParams(max_tokens=4))
    response = respond_within(Scripted(THOUGHTS), [turn], 3)[0]
    assert (response.finish_reason, response.num_tokens) == ("length", 4)
    assert respond_within(Scripted("a b c d e f"), [turn], 9)[0].text == "a b c d "


def test_thinking_that_ends_by_itself_is_asked_once():
    backend = Scripted("<think>one</think>two")
    assert respond_within(backend, [TURN], 9)[0].text == "<think>one</think>two"
    assert len(backend.turns) == 1


@pytest.mark.parametrize("ask", [lambda *a: respond_within(a[0], [a[1]], a[2])[0], streamed])
@pytest.mark.parametrize("num_left", [0, 3])
def test_a_budget_that_ends_where_the_context_does_is_no_error(ask, num_left):
    backend = open_local("tiny", device="cpu", threads=1)
    [whole] = backend.respond([replace(TURN, params=SamplingParams(max_tokens=6))])
    full = open_local(
        "tiny", device="cpu", threads=1, max_length=whole.num_prompt_tokens + 6 + num_left
    )
    response = ask(full, TURN, 6)
    assert (response.text, response.finish_reason, response.num_tokens) == (whole.text, "length", 6)


def test_the_embedded_model_goes_on_as_if_nothing_had_been():
    backend = open_local("tiny", device="cpu", threads=1)
    turn = Turn(QUESTION, SamplingParams(temperature=0.0, max_tokens=12))
    [whole] = backend.respond([turn])
    [parts] = respond_within(backend, [turn], 4)
    assert (parts.text, parts.finish_reason) == (whole.text, whole.finish_reason)
    assert parts.logprob == pytest.approx(whole.logprob, abs=1e-3)
    assert streamed(backend, turn, 4).text == whole.text
