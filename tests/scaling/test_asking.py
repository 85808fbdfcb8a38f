"""Each thing is asked once, by whoever and however often a run is interrupted."""

import json
import math

import pytest

from minireason.errors import SamplingError
from minireason.inference.backend import Response, Turn
from minireason.inference.resolve import open_local
from minireason.journal import Journal
from minireason.rollout.sampling import SamplingParams
from minireason.scaling.asking import Asker, name_of, solve_all
from minireason.scaling.method import Search, single

MESSAGES = ({"role": "user", "content": "?"},)


def turn(seed=0, begun="", **params):
    return Turn(MESSAGES, SamplingParams(seed=seed, **params), begun)


def counted(one):
    return Response(f"{one.begun}{one.params.seed}", "stop", 4, 2, -1.5)


@pytest.fixture
def asker(tmp_path, fake):
    def make(answer=counted):
        journal = Journal(tmp_path / "journal.jsonl", {})
        return Asker(fake(answer), journal, lambda done, total, text: None)

    return make


def test_the_same_ask_is_asked_once(asker):
    one = asker()
    found = one.ask([turn(1), turn(2), turn(1)])
    assert [response.text for response in found] == ["1", "2", "1"]
    assert one.ask([turn(2)]) == found[1:2]
    assert len(one.backend.turns) == 2


def test_every_difference_makes_another_ask():
    asks = [
        turn(),
        turn(1),
        turn(begun="a"),
        turn(max_tokens=9),
        turn(stop=("x",)),
        Turn(({"role": "user", "content": "!"},), SamplingParams()),
        Search(MESSAGES, 2, 9),
        Search(MESSAGES, 3, 9),
    ]
    assert len({name_of(ask) for ask in asks}) == len(asks)
    assert name_of(turn()) == name_of(turn())


def test_what_is_in_the_journal_is_not_asked_again(asker):
    answered = []

    def stopping(one):
        if len(answered) == 2:
            raise KeyboardInterrupt
        answered.append(one)
        return counted(one)

    with pytest.raises(KeyboardInterrupt):
        asker(stopping).ask([turn(seed) for seed in range(4)])
    again = asker()
    found = again.ask([turn(seed) for seed in range(4)])
    assert [one.params.seed for one in again.backend.turns] == [2, 3]
    assert found == [counted(turn(seed)) for seed in range(4)]


def test_a_torn_line_is_asked_again(asker, tmp_path):
    asker().ask([turn(0), turn(1)])
    path = tmp_path / "journal.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    again = asker()
    again.ask([turn(0), turn(1)])
    assert [one.params.seed for one in again.backend.turns] == [1]
    assert [json.loads(line).get("text") for line in path.read_text().splitlines()[1:]] == [
        "0",
        "1",
    ]


def test_tokens_that_are_not_told_are_an_error(asker):
    with pytest.raises(SamplingError, match="how many tokens"):
        asker(lambda one: Response("7", "stop", 0)).ask([turn()])


def test_the_rounds_of_all_questions_are_asked_together(fake, tmp_path):
    batches = []

    class Batches(fake):
        def respond(self, turns, on_response=None):
            batches.append(len(turns))
            return super().respond(turns, on_response)

    def rounds(first, count):
        responses = []
        for number in range(count):
            responses += yield [turn(first + number)]
        return single(responses[-1].text, responses)

    asker = Asker(Batches(counted), Journal(tmp_path / "j", {}), lambda *done: None)
    outcomes = solve_all(asker, {"a": rounds(0, 3), "b": rounds(10, 1), "c": rounds(20, 2)})
    assert batches == [3, 2, 1]
    assert {key: found.answers[0][0] for key, found in outcomes.items()} == {
        "a": "2",
        "b": "10",
        "c": "21",
    }
    assert [outcomes[key].num_tokens for key in "abc"] == [12, 4, 8]


def test_what_does_not_fit_into_the_context_is_counted_and_has_no_answer(tmp_path):
    backend = open_local("tiny", device="cpu", threads=1)
    asker = Asker(backend, Journal(tmp_path / "j", {}), lambda *done: None)
    long = Turn(({"role": "user", "content": "1 " * 5000},), SamplingParams(max_tokens=2))
    short = Turn(MESSAGES, SamplingParams(max_tokens=2))
    found = asker.ask([long, short, Search(long.messages, 2, 2)])
    assert found[0] == found[2] == Response("", "length", 0, 0, -math.inf)
    assert found[1].num_tokens > 0
    assert asker.num_unfit == 2
