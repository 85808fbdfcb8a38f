"""Which log-probabilities are told, for every setting and both modes of vLLM."""

import pytest

from minireason.errors import SamplingError
from minireason.rollout.request import Request
from minireason.rollout.sampling import SamplingParams
from minireason.rollout.vllm_terms import check_for_vllm, completion_of

VALUES = [-0.5, -2.0]


@pytest.mark.parametrize(
    ("temperature", "cut", "processed", "raw"),
    [  # which of (logprobs, raw_logprobs) each mode tells
        (1.0, {}, (True, True), (True, True)),
        (0.0, {}, (True, True), (True, True)),
        (0.0, {"top_p": 0.5, "top_k": 3}, (True, True), (True, True)),
        (0.7, {}, (True, False), (False, True)),
        (1.0, {"top_p": 0.9}, (False, False), (True, True)),
        (1.0, {"top_k": 5}, (False, False), (True, True)),
        (0.7, {"top_p": 0.9}, (False, False), (False, True)),
    ],
)
def test_only_what_was_reported_is_told(temperature, cut, processed, raw):
    params = SamplingParams(**{"temperature": temperature, "top_p": 1.0, **cut})
    for mode, told in (("processed_logprobs", processed), ("raw_logprobs", raw)):
        completion = completion_of(params, mode, [4, 5], VALUES, "stop")
        assert completion.logprobs == (VALUES if told[0] else [])
        assert completion.raw_logprobs == (VALUES if told[1] else [])
        assert (completion.token_ids, completion.finish_reason) == ([4, 5], "stop")


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_broken_weights_are_an_error(value):
    with pytest.raises(SamplingError, match="not finite"):
        completion_of(SamplingParams(), "raw_logprobs", [4, 5], [-1.0, value], "stop")


@pytest.mark.parametrize("temperature", [0.001, 2.1])
def test_a_temperature_that_vllm_would_change_or_refuse_is_refused(temperature):
    request = Request([1], SamplingParams(temperature=temperature, max_tokens=1))
    with pytest.raises(SamplingError, match=f"request 0 has temperature {temperature}"):
        check_for_vllm([request], 8, 9)


@pytest.mark.parametrize("temperature", [0.0, 0.01, 2.0])
def test_the_others_are_taken(temperature):
    check_for_vllm([Request([1], SamplingParams(temperature=temperature, max_tokens=1))], 8, 9)
