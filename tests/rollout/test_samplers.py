"""What every sampler promises, beside transformers' generate and the trainer's scores."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM
from vllm_server import HAS_VLLM, MAX_LENGTH, NO_VLLM, small_model, vllm_server

from minireason.errors import SamplingError
from minireason.model.load import choose_device, save_model
from minireason.rollout.engine import Engine
from minireason.rollout.request import Request
from minireason.rollout.samplers import SamplerSettings, open_sampler
from minireason.rollout.sampling import SamplingParams
from minireason.rollout.served import ServedEngine
from minireason.train.forward import score_units
from minireason.train.packing import TokenSequence

DEVICE = choose_device("auto")
PROMPTS = [[7, 8, 9], [10], [11, 12, 13, 14, 15], [16, 17], [18, 19, 20, 21], [22, 23, 24]]
NEEDS_VLLM = [pytest.mark.skipif(not HAS_VLLM, reason=NO_VLLM), pytest.mark.slow]


@pytest.fixture(scope="module")
def model():
    return small_model(0).model.to(DEVICE)


@pytest.fixture(scope="module")
def other():
    return small_model(1).model.to(DEVICE)


@pytest.fixture(scope="module")
def generated(model, tmp_path_factory):
    """What transformers generates greedily after each prompt, 20 tokens and no stop."""
    return greedily(model, tmp_path_factory.mktemp("generated"))


@pytest.fixture(scope="module")
def stop_id(generated):
    """A token that ends some of the responses early."""
    return generated[0][4]


@pytest.fixture(
    scope="module",
    params=[
        "embedded",
        pytest.param("vllm", marks=NEEDS_VLLM),
        pytest.param("server", marks=NEEDS_VLLM),
    ],
)
def sampler(request, model, stop_id, tmp_path_factory):
    """A sampler of the model; a test that loads other weights loads these again."""
    if request.param == "embedded":
        yield Engine(small_model(0).model.to(DEVICE), [stop_id], 4, MAX_LENGTH)
    elif request.param == "vllm":
        from minireason.rollout.vllm import VllmEngine

        yield VllmEngine(model, [stop_id], 4, MAX_LENGTH)
    else:
        folder = tmp_path_factory.mktemp("served")
        save_model(small_model(0), folder)
        with vllm_server(folder, "--logprobs-mode", "processed_logprobs") as url:
            vocab_size = model.config.vocab_size
            yield ServedEngine(url, [stop_id], MAX_LENGTH, vocab_size, folder, 4)


def greedily(model, folder):
    model.save_pretrained(folder)
    plain = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).to(DEVICE)
    return [
        plain.generate(
            torch.tensor([prompt], device=DEVICE),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.int64, device=DEVICE),
            do_sample=False,
            max_new_tokens=20,
            eos_token_id=None,
        )[0, len(prompt) :].tolist()
        for prompt in PROMPTS
    ]


def requests(num_samples=1, **settings):
    """Every prompt so many times, each with a seed of its own."""
    settings = {"temperature": 0.8, "top_p": 1.0, "max_tokens": 20} | settings
    return [
        Request(prompt, SamplingParams(**settings, seed=2**62 + 10 * number + sample))
        for number, prompt in enumerate(PROMPTS)
        for sample in range(num_samples)
    ]


def trainers_logprobs(model, asked, completions, temperature):
    """The log-probabilities of all response tokens as training scores them."""
    units = [
        [TokenSequence([*request.prompt_ids, *c.token_ids], len(c.token_ids))]
        for request, c in zip(asked, completions, strict=True)
    ]
    return np.concatenate([s[0] for s in score_units(model, units, 64, 4, temperature)])


def tokens(completions):
    return [completion.token_ids for completion in completions]


def test_completions_come_in_order_and_each_is_announced_once(sampler):
    asked = requests(num_samples=2)
    announced = []
    completions = sampler.generate(asked, lambda index, c: announced.append((index, c)))
    assert sorted(index for index, _ in announced) == list(range(len(asked)))
    assert all(completions[index] == completion for index, completion in announced)
    alone = [sampler.generate([request])[0] for request in asked]
    assert tokens(completions) == tokens(alone)


def test_greedy_tokens_equal_generates_and_the_stop_token_is_among_them(
    sampler, generated, stop_id
):
    completions = sampler.generate(requests(temperature=0.0, top_p=0.5))
    reasons = [completion.finish_reason for completion in completions]
    for completion, expected in zip(completions, generated, strict=True):
        has_stop = stop_id in expected
        end = expected.index(stop_id) + 1 if has_stop else 20
        assert completion.token_ids == expected[:end]
        assert completion.finish_reason == ("stop" if has_stop else "length")
    assert {"stop", "length"} == set(reasons)


def test_a_stop_token_at_the_limit_is_a_stop(sampler, generated, stop_id):
    place = generated[0].index(stop_id)
    asked = [Request(PROMPTS[0], SamplingParams(temperature=0.0, max_tokens=place + 1))]
    assert sampler.generate(asked)[0].finish_reason == "stop"


def test_a_seed_decides_its_request_whatever_is_asked_beside_it(sampler):
    asked = requests(num_samples=3)
    first, again = sampler.generate(asked), sampler.generate(asked)
    assert first == again
    backwards = sampler.generate(asked[::-1])[::-1]
    assert tokens(first) == tokens(backwards)
    reseeded = [replace(r, params=replace(r.params, seed=r.params.seed + 7)) for r in asked]
    assert tokens(sampler.generate(reseeded)) != tokens(first)


def test_no_response_is_longer_than_its_limit(sampler, stop_id):
    asked = [
        replace(request, params=replace(request.params, max_tokens=limit))
        for limit, request in enumerate(requests(), start=1)
    ]
    for limit, completion in enumerate(sampler.generate(asked), start=1):
        is_stopped = completion.token_ids[-1] == stop_id
        assert len(completion.token_ids) == limit or is_stopped
        assert completion.finish_reason == ("stop" if is_stopped else "length")


@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.0])
def test_logprobs_equal_the_trainers(sampler, model, temperature):
    asked = requests(num_samples=2, temperature=temperature)
    completions = sampler.generate(asked)
    found = np.concatenate([completion.logprobs for completion in completions])
    expected = trainers_logprobs(model, asked, completions, temperature or 1.0)
    assert found == pytest.approx(expected, abs=1e-4)
    if raw := [value for completion in completions for value in completion.raw_logprobs]:
        expected = trainers_logprobs(model, asked, completions, 1.0)
        assert raw == pytest.approx(expected, abs=1e-4)


def test_logprobs_of_a_cut_distribution_are_the_uncut_ones_or_not_told(sampler, model):
    asked = requests(top_p=0.6)
    completions = sampler.generate(asked)
    found = [value for completion in completions for value in completion.logprobs]
    if found:
        assert found == pytest.approx(trainers_logprobs(model, asked, completions, 0.8), abs=1e-4)


@pytest.mark.parametrize(("cut", "num_kept"), [({"top_k": 2}, 2), ({"top_p": 1e-6}, 1)])
def test_top_k_and_top_p_leave_the_likeliest(sampler, generated, cut, num_kept):
    params = SamplingParams(**{"temperature": 2.0, "top_p": 1.0, "max_tokens": 1, **cut})
    asked = [Request(PROMPTS[2], replace(params, seed=seed)) for seed in range(40)]
    found = {completion.token_ids[0] for completion in sampler.generate(asked)}
    assert len(found) == num_kept and generated[2][0] in found


def test_loaded_weights_are_sampled_from_and_nothing_cached_is_left(
    sampler, model, other, generated, tmp_path
):
    asked = requests(temperature=0.0)
    before = sampler.generate(asked)
    try:
        sampler.load_weights(other)
        after = sampler.generate(asked)
        found = np.concatenate([completion.logprobs for completion in after])
        assert found == pytest.approx(trainers_logprobs(other, asked, after, 1.0), abs=1e-4)
        for completion, expected in zip(after, greedily(other, tmp_path), strict=True):
            assert completion.token_ids == expected[: len(completion.token_ids)]
        assert tokens(after) != tokens(before)
    finally:
        sampler.load_weights(model)
    assert sampler.generate(asked) == before


def test_what_cannot_be_served_is_refused_before_anything_is_sampled(sampler, model):
    announced = []
    good = requests()[0]
    for bad, reason in [
        (Request([], SamplingParams(max_tokens=1)), "request 1 has an empty prompt"),
        (Request([1] * 90, SamplingParams(max_tokens=7)), "needs 97 positions"),
        (Request([model.config.vocab_size], SamplingParams(max_tokens=1)), "outside 0"),
    ]:
        with pytest.raises(SamplingError, match=reason):
            sampler.check([good, bad])
        with pytest.raises(SamplingError, match=reason):
            sampler.generate([good, bad], lambda *finished: announced.append(finished))
    assert announced == []
    assert sampler.generate([]) == []
    longest = Request([1] * 90, SamplingParams(temperature=0.0, max_tokens=6))
    assert len(sampler.generate([longest])[0].token_ids) <= 6


def test_the_embedded_engine_is_the_one_that_opens_by_default():
    opened = open_sampler(SamplerSettings(max_batch=3, max_length=10**6), small_model(0))
    assert isinstance(opened, Engine)
    assert (opened.sampled.max_batch, opened.max_length) == (3, 1024)
