from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from runtimes import ModelRuntime
from transformers import AutoModelForCausalLM

from minireason.edge.engine import EdgeEngine
from minireason.errors import SamplingError
from minireason.model.chat import Chat
from minireason.model.load import load_model
from minireason.rollout.engine import Engine
from minireason.rollout.request import Request
from minireason.rollout.sampling import SamplingParams
from minireason.rollout.stopping import Reader


@pytest.fixture(scope="module")
def loaded(base):
    return load_model(str(base))


@pytest.fixture(scope="module")
def chat(loaded):
    return Chat(loaded.tokenizer)


@pytest.fixture(scope="module")
def plain(base):
    return AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()


@pytest.fixture
def runtime(plain):
    return ModelRuntime(plain, 3, 256)


@pytest.fixture
def engine(runtime, chat):
    return EdgeEngine(runtime, chat.stop_ids, Reader.of(chat))


def prompts(chat, count):
    questions = [f"What is {n} + {n * n}?" + " Say it." * (n % 3) for n in range(count)]
    return [chat.prompt_ids([{"role": "user", "content": question}]) for question in questions]


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": 0.0},
        {"temperature": 1.0, "top_p": 0.9},
        {"temperature": 0.7, "repetition_penalty": 1.3, "min_tokens": 6},
        {"temperature": 1.0, "stop": ("1",)},
        {"temperature": 1.0, "thinking_budget": 4, "top_k": 40},
        {"temperature": 1.0, "stop_ids": (20, 21, 22)},
    ],
    ids=str,
)
def test_samples_what_the_embedded_engine_samples(loaded, chat, engine, runtime, settings):
    requests = [
        Request(ids, SamplingParams(max_tokens=12, seed=n, **settings))
        for n, ids in enumerate(prompts(chat, 7))
    ]
    embedded = Engine(
        loaded.model, chat.stop_ids, max_batch=4, max_length=256, reader=Reader.of(chat)
    )
    for ours, theirs in zip(engine.generate(requests), embedded.generate(requests), strict=True):
        assert (ours.token_ids, ours.finish_reason, ours.forced) == (
            theirs.token_ids,
            theirs.finish_reason,
            theirs.forced,
        )
        np.testing.assert_allclose(ours.logprobs, theirs.logprobs, atol=1e-4)
        np.testing.assert_allclose(ours.raw_logprobs, theirs.raw_logprobs, atol=1e-4)
    assert runtime.most == 3 and not runtime.places


def test_a_seed_gives_the_same_tokens_whatever_is_beside(chat, engine):
    requests = [
        Request(ids, SamplingParams(max_tokens=8, seed=5, temperature=1.0))
        for ids in prompts(chat, 4)
    ]
    assert engine.generate(requests[2:3])[0] == engine.generate(requests)[2]


def test_streams_the_tokens_of_generate(chat, engine):
    request = Request(prompts(chat, 1)[0], SamplingParams(max_tokens=9, seed=3))
    events = list(engine.stream(request))
    [completion] = engine.generate([request])
    assert [event.token_id for event in events] == completion.token_ids
    assert events[-1].completion == completion


def test_a_stream_that_is_closed_frees_its_place_for_the_next(chat, engine, runtime):
    request = Request(prompts(chat, 1)[0], SamplingParams(max_tokens=9, seed=3, min_tokens=9))
    for _ in range(5):
        stream = engine.stream(request)
        next(stream)
        stream.close()
    assert len(engine.generate([request])) == 1 and not runtime.places


def test_an_answer_that_another_one_ended_says_so_and_leaves_that_one_alone(chat, engine):
    first, second = (
        Request(ids, SamplingParams(max_tokens=9, seed=3, min_tokens=9)) for ids in prompts(chat, 2)
    )
    [alone] = engine.generate([second])
    earlier = engine.stream(first)
    next(earlier)
    later = engine.stream(second)
    begun = next(later)
    with pytest.raises(SamplingError, match="asked something else"):
        next(earlier)
    assert [begun.token_id, *(event.token_id for event in later)] == alone.token_ids


def test_threads_that_generate_wait_for_one_another(chat, engine):
    requests = [
        Request(ids, SamplingParams(max_tokens=9, seed=3, min_tokens=9)) for ids in prompts(chat, 3)
    ]
    alone = [engine.generate([request]) for request in requests]
    with ThreadPoolExecutor(3) as threads:
        assert list(threads.map(lambda request: engine.generate([request]), requests)) == alone


def test_a_cancelled_request_frees_its_place_and_one_in_line_is_forgotten(chat, engine, runtime):
    scheduler = engine.scheduler()
    request = Request(prompts(chat, 1)[0], SamplingParams(max_tokens=9, min_tokens=9))
    numbers = [scheduler.add(request) for _ in range(4)]
    for _ in range(3):
        scheduler.step()
    assert len(runtime.places) == 3
    scheduler.cancel(numbers[0])
    scheduler.cancel(numbers[3])
    events = scheduler.step()
    assert {event.number for event in events} == {numbers[1], numbers[2]}
    assert len(runtime.places) == 2


@pytest.mark.parametrize(
    ("prompt_ids", "params", "told"),
    [
        ([], SamplingParams(max_tokens=1), "empty prompt"),
        ([1] * 250, SamplingParams(max_tokens=10), "needs 260 positions"),
        ([100_000], SamplingParams(max_tokens=1), "token id outside"),
        ([1], SamplingParams(max_tokens=1, stop_ids=(10**6,)), "stop token 1000000"),
    ],
)
def test_what_cannot_be_served_is_refused_before_anything_is_sampled(
    engine, runtime, prompt_ids, params, told
):
    good = Request([1, 2], SamplingParams(max_tokens=2))
    with pytest.raises(SamplingError, match=told):
        engine.generate([good, Request(prompt_ids, params)])
    assert runtime.most == 0 and not runtime.places


def test_a_request_that_cannot_be_served_is_named_by_its_number(engine):
    good = Request([1, 2], SamplingParams(max_tokens=2))
    with pytest.raises(SamplingError, match="request 2 has an empty prompt"):
        engine.generate([good, good, Request([], SamplingParams(max_tokens=1))])
