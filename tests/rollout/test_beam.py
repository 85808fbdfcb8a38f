"""Beam search beside transformers' own, an exhaustive search, the engine's tokens, and itself."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from sampled import VOCABULARY, llama, phi3, prompts, qwen2, requests, teacher_forced
from transformers import PreTrainedModel

from minireason.errors import SamplingError
from minireason.model.adapters import LoraSettings, add_adapters
from minireason.rollout import beam as beam_module
from minireason.rollout import cache as cache_module
from minireason.rollout import memory as memory_module
from minireason.rollout.beam import Beam, BeamSettings, beam_search, beam_search_batch
from minireason.rollout.cache import PromptCache, SlotCache
from minireason.rollout.engine import Engine
from minireason.rollout.memory import bytes_per_entry

STOPS = (2, 7, 12, 19, 26, 33, 40, 47, 54)


def flattened(model: PreTrainedModel) -> PreTrainedModel:
    """The model with less certain predictions: its beams end in many places, or not at all."""
    with torch.no_grad():
        model.model.norm.weight.mul_(0.4)
    return model


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    return flattened(phi3())


@pytest.fixture(scope="module")
def stock() -> PreTrainedModel:
    return flattened(phi3("sdpa"))


def search(
    model: PreTrainedModel, asked: list[list[int]], stops: Any = STOPS, **settings: Any
) -> list[list[Beam]]:
    return beam_search_batch(Engine(model, stops).sampled, asked, BeamSettings(**settings))


def assert_equal_to_transformers(
    model: PreTrainedModel, stock: PreTrainedModel, asked: list[list[int]], **settings: Any
) -> list[list[Beam]]:
    """Each prompt's beams, all searched at once, are those of `generate` for it alone."""
    stock.generation_config.eos_token_id = list(STOPS)
    found = search(model, asked, **settings)
    names = {"num_best": "num_return_sequences", "max_tokens": "max_new_tokens"}
    theirs = {names.get(name, name): value for name, value in settings.items()}
    for prompt, beams in zip(asked, found, strict=True):
        expected = stock.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.int64),
            do_sample=False,
            output_scores=True,
            return_dict_in_generate=True,
            **theirs,
        )
        responses = expected.sequences[:, len(prompt) :].tolist()
        assert [beam.token_ids for beam in beams] == [until_stop(ids) for ids in responses]
        scores = expected.sequences_scores.tolist()
        assert [beam.score for beam in beams] == pytest.approx(scores, rel=1e-5, abs=1e-5)
    return found


def until_stop(token_ids: list[int]) -> list[int]:
    """Without the padding behind the first stop token."""
    first = next((i for i, token in enumerate(token_ids) if token in STOPS), len(token_ids))
    return token_ids[: first + 1]


SETTINGS: dict[str, Any] = {"num_beams": 4, "num_best": 3, "max_tokens": 24}


@pytest.mark.parametrize("length_penalty", [-0.5, 0.0, 1.0, 2.0])
@pytest.mark.parametrize("early_stopping", [False, True, "never"])
def test_beams_and_scores_equal_those_of_transformers_generate(
    model: PreTrainedModel, stock: PreTrainedModel, length_penalty: float, early_stopping: Any
) -> None:
    ends = {"length_penalty": length_penalty, "early_stopping": early_stopping}
    assert_equal_to_transformers(model, stock, prompts(8), **SETTINGS, **ends)


@pytest.mark.parametrize("build", [qwen2, llama])
@pytest.mark.parametrize(("num_beams", "num_best"), [(2, 1), (3, 3), (7, 5)])
def test_so_they_do_for_other_models_and_widths(build: Any, num_beams: int, num_best: int) -> None:
    pair = flattened(build()), flattened(build("sdpa"))
    widths = {"num_beams": num_beams, "num_best": num_best}
    for max_tokens in (1, 2, 13):
        assert_equal_to_transformers(*pair, prompts(5, seed=1), max_tokens=max_tokens, **widths)


def test_here_beams_end_both_ways_and_each_early_stopping_finds_others(
    model: PreTrainedModel,
) -> None:
    found = [
        search(model, prompts(8), **SETTINGS, early_stopping=early_stopping)
        for early_stopping in (False, True, "never")
    ]
    beams = [beam for each in found for beams in each for beam in beams]
    assert {beam.finish_reason for beam in beams} == {"stop", "length"}
    assert found[0] != found[1] != found[2] != found[0]


def test_as_many_beams_as_tokens_find_the_best_of_all_pairs_of_tokens(
    model: PreTrainedModel, stock: PreTrainedModel
) -> None:
    widths = {"num_beams": VOCABULARY, "num_best": 20}
    best = search(model, [[5, 9, 4]], (), **widths, max_tokens=2)[0]
    with torch.no_grad():
        logits = stock(torch.tensor([[5, 9, 4, token] for token in range(VOCABULARY)])).logits
    logprobs_VTV = logits.log_softmax(-1)
    totals_VV = logprobs_VTV[0, 2, :, None] + logprobs_VTV[:, 3]
    expected = totals_VV.flatten().topk(20)
    pairs = [list(divmod(pair, VOCABULARY)) for pair in expected.indices.tolist()]
    assert [beam.token_ids for beam in best] == pairs
    scores = (expected.values / 2).tolist()
    assert [beam.score for beam in best] == pytest.approx(scores, abs=1e-5)


def test_one_beam_that_stops_early_is_what_the_engine_samples_greedily(
    model: PreTrainedModel,
) -> None:
    found = search(model, prompts(7), num_beams=1, max_tokens=20, early_stopping=True)
    asked = requests(7, temperature=0.0, max_tokens=20)
    for beams, greedy in zip(found, Engine(model, STOPS).generate(asked), strict=True):
        assert beams[0].token_ids == greedy.token_ids
        assert beams[0].logprobs == greedy.logprobs
        assert beams[0].finish_reason == greedy.finish_reason


def test_logprobs_are_the_models_and_make_up_the_score(model: PreTrainedModel) -> None:
    found = search(model, prompts(5), **SETTINGS, length_penalty=1.5)
    for prompt, beams in zip(prompts(5), found, strict=True):
        for beam in beams:
            expected = teacher_forced(model, prompt, beam.token_ids)
            assert beam.logprobs == pytest.approx(expected, abs=1e-4)
            score = sum(beam.logprobs) / len(beam.token_ids) ** 1.5
            assert beam.score == pytest.approx(score, abs=1e-9)


def test_a_prompt_finds_the_same_beams_to_the_bit_whatever_its_neighbours(
    model: PreTrainedModel,
) -> None:
    sampled, settings = Engine(model, STOPS).sampled, BeamSettings(**SETTINGS)
    alone = [beam_search(sampled, prompt, settings) for prompt in prompts(8)]
    assert beam_search_batch(sampled, prompts(8), settings) == alone
    assert beam_search_batch(sampled, [], settings) == []


def test_stop_tokens_of_the_settings_are_added_to_the_samplers(model: PreTrainedModel) -> None:
    found = search(model, prompts(4), STOPS[:3], **SETTINGS, stop_ids=STOPS[2:])
    assert found == search(model, prompts(4), **SETTINGS)


def test_neither_several_prefills_nor_a_cache_that_grows_changes_a_beam(
    model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = SETTINGS | {"max_tokens": 90}
    asked = [*sorted(prompts(8), key=len), [5] * 33]
    whole = search(model, asked, (), **settings)
    grown: list[int] = []
    resize = SlotCache.resize

    def noting(self: SlotCache, num_slots: int, length: int, num_live: int) -> None:
        grown.append(length)
        resize(self, num_slots, length, num_live)

    monkeypatch.setattr(SlotCache, "resize", noting)
    monkeypatch.setattr(memory_module, "SHORTEST", 32)
    monkeypatch.setattr(beam_module, "PREFILL_TOKENS", 25)
    assert search(model, asked, (), **settings) == whole
    assert grown == [96, 128]  # for the longest prompt, and while decoding


@pytest.mark.parametrize("num_entries", [12 * 64, 12 * 64 + 100, 10**6])
def test_a_cache_that_just_holds_the_beams_serves_them_and_is_cleared_first(
    model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch, num_entries: int
) -> None:
    settings = BeamSettings(**SETTINGS | {"max_tokens": 44})
    expected = beam_search_batch(Engine(model, STOPS).sampled, prompts(3), settings)
    allocated: list[int] = []

    def poisoned(like: torch.Tensor, slots: int, length: int) -> torch.Tensor:
        allocated.append(slots * length)
        return torch.full((slots, length, *like.shape[2:]), math.nan)

    monkeypatch.setattr(cache_module, "_allocate", poisoned)
    sampled = Engine(model, STOPS, max_batch=12, cache_gib=gib(model, num_entries)).sampled
    assert beam_search_batch(sampled, prompts(3), settings) == expected
    assert max(allocated) <= num_entries


def gib(model: PreTrainedModel, num_entries: int) -> float:
    return num_entries * bytes_per_entry(model) / memory_module.GIB


def test_more_beams_than_fit_are_an_error(model: PreTrainedModel) -> None:
    settings = BeamSettings(**SETTINGS | {"max_tokens": 44})
    said = "3 prompts x 4 beams need 12 slots of 6. positions, max_batch {} and .* allow {}; give"
    narrow = Engine(model, STOPS, max_batch=11)
    with pytest.raises(SamplingError, match=said.format(11, 11)):
        beam_search_batch(narrow.sampled, prompts(3), settings)
    small = Engine(model, STOPS, cache_gib=gib(model, 12 * 64 - 1))
    with pytest.raises(SamplingError, match=said.format(64, 11)):
        beam_search_batch(small.sampled, prompts(3), settings)


@pytest.mark.parametrize(
    ("prompt", "settings", "message"),
    [
        ([], {}, "request 1 has an empty prompt"),
        ([3] * 100, {"max_tokens": 29}, "request 1 needs 129 positions .* the limit is 128"),
        ([VOCABULARY], {}, "request 1 has a token id outside 0..60"),
        ([3], {"num_beams": 53}, "num_beams is 53; it must be at most the 61 .* without the 9"),
    ],
)
def test_a_prompt_that_cannot_be_searched_is_an_error(
    model: PreTrainedModel, prompt: list[int], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(SamplingError, match=message):
        search(model, [[3], prompt], **{"max_tokens": 5} | settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_beams": 0}, "num_beams is 0; it must be 1 or more"),
        ({"num_beams": 2, "num_best": 3}, "num_best is 3; it must be 1 to num_beams, 2"),
        ({"num_best": 0}, "num_best is 0; it must be 1 to num_beams, 4"),
        ({"max_tokens": 0}, "max_tokens is 0"),
        ({"length_penalty": math.nan}, "length_penalty is nan; it must be a finite number"),
        ({"early_stopping": "always"}, "early_stopping is 'always'; it must be True, False or"),
    ],
)
def test_a_setting_that_cannot_be_is_an_error(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SamplingError, match=message):
        BeamSettings(**settings)


def test_a_model_with_adapters_in_training_is_searched_in_evaluation_mode() -> None:
    pytest.importorskip("peft")
    model = flattened(phi3())
    plain = search(model, prompts(3), **SETTINGS)
    add_adapters(model, LoraSettings(rank=2, alpha=4.0, dropout=0.5))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1)
    model.train()
    found = search(model, prompts(3), **SETTINGS)
    assert model.training and torch.is_grad_enabled()
    model.eval()
    for prompt, beams in zip(prompts(3), found, strict=True):
        expected = teacher_forced(model, prompt, beams[0].token_ids)
        assert beams[0].logprobs == pytest.approx(expected, abs=1e-4)
    assert found != plain


def test_weights_that_give_nan_are_an_error() -> None:
    model = phi3()
    with torch.no_grad():
        model.lm_head.weight[5] = math.nan
    with pytest.raises(SamplingError, match="not finite"):
        search(model, prompts(2), max_tokens=3)


def test_slots_are_copied_all_at_once_one_of_them_twice() -> None:
    states_1MHD = torch.arange(4.0).view(1, 4, 1, 1)
    computed = PromptCache()
    computed.update(states_1MHD.transpose(1, 2), -states_1MHD.transpose(1, 2), 0)
    cache = SlotCache(computed, 4, 2)
    cache.admit(0, computed, torch.arange(4), torch.ones(4, dtype=torch.int64))
    cache.move(torch.tensor([1, 0, 1]), torch.tensor([0, 1, 3]), 1)
    assert cache.keys[0][:, 0].flatten().tolist() == [1, 0, 2, 1]
    assert cache.values[0][:, 0].flatten().tolist() == [-1, 0, -2, -1]
