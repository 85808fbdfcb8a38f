"""The best beam as a response, and what a search costs."""

import pytest

from minireason.errors import SamplingError
from minireason.inference.resolve import open_local
from minireason.rollout.beam import BeamSettings, beam_search
from minireason.rollout.beam_paths import Search as Paths
from minireason.rollout.sampling import SamplingParams
from minireason.scaling.beam import BeamSearch
from minireason.scaling.method import Search, Task
from minireason.scaling.searching import search_all

TEXTS = ("What is 3+4?", "List the numbers 12, 15 and 18.", "What is 20-6?")


@pytest.fixture(scope="module")
def backend():
    return open_local("tiny", device="cpu", threads=1, max_batch=4)


def tasks():
    params = SamplingParams(temperature=0.0, max_tokens=24)
    return [Task(text, ({"role": "user", "content": text},), "", params) for text in TEXTS]


def found(backend, searches):
    responses = {}
    search_all(backend, searches, responses.__setitem__)
    return [responses[index] for index in range(len(searches))]


def test_one_beam_is_greedy_decoding_and_costs_as_much(backend):
    searches = [Search(task.messages, 1, 24) for task in tasks()]
    greedy = backend.respond([task.sample(0) for task in tasks()])
    for response, expected in zip(found(backend, searches), greedy, strict=True):
        assert response.text == expected.text
        assert response.num_tokens == expected.num_tokens
        assert response.num_prompt_tokens == expected.num_prompt_tokens
        assert response.logprob == pytest.approx(expected.logprob, abs=1e-4)


@pytest.mark.parametrize("width", [2, 3])
def test_wider_searches_count_a_token_a_path_and_step(backend, width, monkeypatch):
    steps = []
    extend = Paths.extend
    monkeypatch.setattr(Paths, "extend", lambda *a: (steps.append(a[0]), extend(*a))[1])
    searches = [Search(task.messages, width, 24) for task in tasks()]
    responses = found(backend, searches)
    assert sum(response.num_tokens for response in responses) == width * len(steps)
    settings = BeamSettings(width, max_tokens=24, early_stopping=True)
    for task, response in zip(tasks(), responses, strict=True):
        prompt_ids = backend.chat.prompt_ids(task.messages)
        [best] = beam_search(backend.engine.sampled, prompt_ids, settings)
        assert response.text == backend.chat.decode(best.token_ids)


def test_the_method_asks_for_one_search(task, said, played):
    [[search]], outcome = played(BeamSearch().solve(task, 4), [said("7", 48)])
    assert search == Search(task.messages, 4, 20)
    assert outcome.num_tokens == 48


def test_a_server_cannot_search(fake):
    with pytest.raises(SamplingError, match="leave out beam"):
        search_all(fake(None), [Search((), 2, 8)], lambda index, response: None)
