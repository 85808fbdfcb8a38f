"""Budget forcing by script, and token by token with a real engine."""

from itertools import pairwise

import pytest

from minireason.inference.backend import Response, Turn
from minireason.inference.resolve import open_local
from minireason.rollout.sampling import SamplingParams
from minireason.scaling.budget import BudgetForcing, Forcing, force, think
from minireason.scaling.method import Task

PLAIN, MARKED = Forcing(), Forcing(is_marked=True)
REPEAT = "Find the value of 35+7*2-12.\nRepeat the question."


def test_a_premature_end_is_taken_away_and_wait_put_there(task, played):
    script = [
        Response("3+4=8\nThe answer is ", "stop", 9, 5),  # and \boxed, which is not shown
        Response(", 3+4=7\nThe answer is ", "stop", 8, 17),
        Response(" \\boxed{7}.", "stop", 4, 30),
    ]
    rounds, outcome = played(force(task, 15, 40, PLAIN), script)
    assert [turn.begun for [turn] in rounds] == [
        "",
        "3+4=8\nWait",
        "3+4=8\nWait, 3+4=7\nThe answer is",
    ]
    assert [turn.params.max_tokens for [turn] in rounds] == [40, 31, 20]
    assert [turn.params.stop for [turn] in rounds] == [("\\boxed",), ("\\boxed",), ()]
    assert outcome.answers == (("3+4=8\nWait, 3+4=7\nThe answer is \\boxed{7}.", 1.0),)
    assert (outcome.num_tokens, outcome.num_prompt_tokens) == (21, 52)


def test_thinking_that_reaches_the_maximum_is_closed_and_the_answer_asked_for(task, played):
    script = [Response("3+4=7\n7", "length", 6), Response("7}.", "stop", 3)]
    rounds, outcome = played(force(task, 0, 6, PLAIN), script)
    assert rounds[1][0].begun == "3+4=7\n7\nFinal answer: \\boxed{"
    assert outcome.answers[0][0].endswith("Final answer: \\boxed{7}.")
    assert outcome.num_tokens == 9


def test_marked_thinking_ends_at_its_mark_and_may_hold_boxes(task, played):
    script = [
        Response("<think>\\boxed{8}? ", "stop", 6),
        Response(" no, 7.", "stop", 5),
        Response("It is \\boxed{7}.", "stop", 7),
    ]
    rounds, outcome = played(force(task, 10, 40, MARKED), script)
    assert rounds[0][0].params.stop == ("</think>",)
    assert rounds[1][0].begun == "<think>\\boxed{8}?\nWait"
    assert rounds[2][0].begun == "<think>\\boxed{8}?\nWait no, 7.</think>"
    assert outcome.num_tokens == 18


def test_marked_thinking_at_the_maximum_is_closed_with_its_mark(task, played):
    script = [Response("<think>and so", "length", 6), Response("7}", "stop", 2)]
    rounds, _ = played(force(task, 0, 6, MARKED), script)
    assert rounds[1][0].begun == "<think>and so\n</think>\n\nFinal answer: \\boxed{"


@pytest.mark.parametrize(
    ("before", "new", "begun"),
    [
        ("", "a\nb\nThe answer is ", "a\nb\nWait"),
        ("", "a\nb\nSo 7.", "a\nb\nWait"),  # no box: the last sentence is the answer
        ("", "a\nSo 7.\n", "a\nWait"),
        ("", "It is 3.5. Twice is 7! Then $", "It is 3.5. Twice is 7!\nWait"),
        ("", "The answer is ", "Wait"),
        ("", "", "Wait"),
        ("a\nWait", ", b. So ", "a\nWait, b.\nWait"),
        ("a\nWait", ", it is ", "a\nWait"),  # nothing was thought
    ],
)
def test_the_answer_of_unmarked_thinking_is_its_last_sentence(before, new, begun):
    assert PLAIN.gone_on(before, new) == begun


def test_a_size_stands_for_multiples_of_the_unit(task, played):
    script = [Response("a\n7", "stop", 9), Response("b", "length", 31), Response("7}", "stop", 2)]
    rounds, _ = played(BudgetForcing(10, PLAIN).solve(task, 3), script)
    assert [turn.params.max_tokens for [turn] in rounds] == [40, 31, 20]


@pytest.fixture(scope="module")
def backend():
    return open_local("tiny", device="cpu", threads=1)


def asked(text, **params):
    return Task("q", ({"role": "user", "content": text},), "", SamplingParams(**params))


def done(backend, rounds):
    """Run a method's rounds with the engine: the turns, the responses, what it returned."""
    turns, responses = [], []
    asks = next(rounds)
    while True:
        found = backend.respond(asks)
        turns += asks
        responses += found
        try:
            asks = rounds.send(found)
        except StopIteration as stop:
            return turns, responses, stop.value


@pytest.mark.parametrize("maximum", [1, 5, 9])
def test_the_maximum_holds_to_the_token(backend, maximum):
    task = asked(REPEAT, temperature=0.0, max_tokens=8)
    plain = Turn(task.messages, SamplingParams(temperature=0.0, max_tokens=40))
    [whole] = backend.engine.generate([backend.request(plain)])
    assert len(whole.token_ids) > 9
    turns, [thought, answer], outcome = done(backend, force(task, 0, maximum, PLAIN))
    assert thought.num_tokens == maximum
    assert thought.text == backend.chat.decode(whole.token_ids[:maximum])
    assert turns[1].begun == thought.text.rstrip() + "\n" + PLAIN.final
    begun = backend.chat.prompt_ids(task.messages) + backend.chat.ids(turns[1].begun)
    assert answer.num_prompt_tokens == len(begun)
    assert outcome.num_tokens == maximum + answer.num_tokens


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(("minimum", "maximum"), [(0, 60), (30, 30), (25, 60), (40, 90)])
def test_thinking_lasts_as_long_as_it_must_and_no_longer(backend, minimum, maximum, seed):
    task = asked("What is 12+15?", temperature=1.0, max_tokens=8, seed=seed)
    turns, responses, (begun, kept) = done(backend, think(task, minimum, maximum, PLAIN))
    used = sum(response.num_tokens for response in responses)
    assert minimum <= used <= maximum
    assert sum(response.num_tokens for response in responses[:-1]) < max(minimum, 1)
    assert kept == responses
    is_closed = responses[-1].finish_reason == "length"
    assert is_closed == (begun.endswith(PLAIN.final))
    assert all(later.begun.startswith(turn.begun) for turn, later in pairwise(turns))


def test_the_text_goes_on_where_the_end_was_taken_away(backend):
    task = asked("What is 12+15?", temperature=0.0, max_tokens=8)
    turns, responses, _ = done(backend, think(task, 12, 12, PLAIN))
    assert len(turns) > 1
    for turn, response in zip(turns[1:], responses[1:], strict=True):
        assert turn.begun.endswith("Wait")
        ids = backend.chat.prompt_ids(task.messages) + backend.chat.ids(turn.begun)
        assert response.num_prompt_tokens == len(ids)
        [completion] = backend.engine.generate([backend.request(turn)])
        assert backend.request(turn).prompt_ids == ids
        assert response.num_tokens == len(completion.token_ids)
    for turn, response, later in zip(turns, responses, turns[1:], strict=False):
        assert later.begun == PLAIN.gone_on(turn.begun, response.text)


def test_more_than_the_minimum_changes_nothing(backend):
    task = asked("What is 12+15?", temperature=0.0, max_tokens=30)
    [plain] = backend.respond([task.sample(0)])
    _, responses, outcome = done(backend, force(task, 0, 100, PLAIN))
    assert len(responses) == 2
    assert outcome.answers[0][0].startswith(plain.text.rstrip())
