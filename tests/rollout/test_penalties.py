"""Penalties and truncation beside transformers' own logits processors."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from sampled import llama, phi3, qwen2, requests
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from minireason.rollout.batch import LiveBatch
from minireason.rollout.engine import Engine
from minireason.rollout.request import Request
from minireason.rollout.sampling import SamplingParams
from minireason.rollout.sequence import LiveSequence
from minireason.rollout.stopping import Reader

VOCABULARY, NUM_DRAWS = 40, 6000


@pytest.mark.parametrize("build", [phi3, qwen2, llama])
@pytest.mark.parametrize("penalty", [0.8, 1.3])
def test_greedy_with_a_repetition_penalty_equals_transformers_generate(
    build: Any, penalty: float
) -> None:
    ours, theirs = build(), build("sdpa")
    theirs.load_state_dict(ours.state_dict())
    asked = requests(7, temperature=0.0, max_tokens=20, repetition_penalty=penalty, min_tokens=5)
    results = Engine(ours, [2], max_batch=3).generate(asked)
    for request, completion in zip(asked, results, strict=True):
        expected = theirs.generate(
            torch.tensor([request.prompt_ids]),
            attention_mask=torch.ones(1, len(request.prompt_ids), dtype=torch.int64),
            do_sample=False,
            max_new_tokens=20,
            min_new_tokens=5,
            eos_token_id=2,
            repetition_penalty=penalty,
        )[0, len(request.prompt_ids) :].tolist()
        assert completion.token_ids == expected


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": 0.7, "min_p": 0.1},
        {"temperature": 1.5, "top_k": 7, "top_p": 0.7},
        {"top_k": 9, "top_p": 0.9, "min_p": 0.2},
        {"temperature": 1.3, "repetition_penalty": 1.6, "top_p": 0.8, "min_p": 0.05},
        {"temperature": 0.9, "repetition_penalty": 0.7, "top_k": 6, "top_p": 0.95},
    ],
)
def test_the_tokens_drawn_are_those_that_transformers_keeps(settings: dict[str, Any]) -> None:
    settings = {"temperature": 1.0, "top_p": 1.0, "max_tokens": 2} | settings
    prompt = [1, 5, 5, 7, 30, 31, 12]
    logits = torch.randn(VOCABULARY, generator=torch.Generator().manual_seed(11)) * 2
    batch = LiveBatch(NUM_DRAWS, VOCABULARY, torch.device("cpu"))
    rows = batch.add(
        [
            LiveSequence(
                seed, Request(prompt, SamplingParams(**settings, seed=seed)), frozenset(), Reader()
            )
            for seed in range(NUM_DRAWS)
        ]
    )
    drawn = batch.sample(rows, logits.expand(NUM_DRAWS, -1))
    params = SamplingParams(**settings)
    processors = LogitsProcessorList(
        [
            RepetitionPenaltyLogitsProcessor(params.repetition_penalty),
            TemperatureLogitsWarper(params.temperature),
            *([TopKLogitsWarper(params.top_k)] if params.top_k else []),
            TopPLogitsWarper(params.top_p),
            MinPLogitsWarper(params.min_p),
        ]
    )
    probs = processors(torch.tensor([prompt]), logits[None].clone())[0].softmax(-1)
    counts = torch.bincount(drawn.tokens_B, minlength=VOCABULARY)
    assert not counts[probs == 0].any()
    deviation = (NUM_DRAWS * probs * (1 - probs)).sqrt()
    assert ((counts - NUM_DRAWS * probs).abs() <= 4.5 * deviation + 1e-3).all()
    own = (logits / params.temperature).log_softmax(-1)[drawn.tokens_B]
    torch.testing.assert_close(drawn.logprobs_B, own)


def test_a_penalty_counts_the_response_and_only_its_own_row() -> None:
    model = phi3()
    penalised = requests(5, temperature=0.0, max_tokens=25, repetition_penalty=5.0)
    plain = requests(5, temperature=0.0, max_tokens=25)
    alone = Engine(model, [], max_batch=5).generate(plain)
    both = Engine(model, [], max_batch=4).generate(
        [r for p in zip(penalised, plain, strict=True) for r in p]
    )
    assert [done.token_ids for done in both[1::2]] == [done.token_ids for done in alone]
    for request, done in zip(penalised, both[::2], strict=True):
        assert len(set(done.token_ids) - set(request.prompt_ids)) >= 20
