"""The engine in this process, beyond what every sampler promises (test_samplers.py)."""

import gc
import sys

import pytest
import torch
from transformers import Phi3Config, Phi3ForCausalLM
from vllm_server import HAS_VLLM, MAX_LENGTH, NO_VLLM, small_model

from minireason.errors import MissingError, SamplingError
from minireason.model.adapters import LoraSettings, add_adapters
from minireason.model.attention import ATTENTION
from minireason.model.load import choose_device
from minireason.model.rope import pin_rope, share_frequencies
from minireason.rollout import vllm as module
from minireason.rollout.engine import Engine
from minireason.rollout.request import Request
from minireason.rollout.samplers import SamplerSettings, open_sampler
from minireason.rollout.sampling import SamplingParams
from minireason.rollout.vllm import VllmEngine, cache_bytes

DEVICE = choose_device("auto")

needs_vllm = pytest.mark.skipif(not HAS_VLLM, reason=NO_VLLM)


def engine(seed=0):
    return VllmEngine(small_model(seed).model.to(DEVICE), [0], 4, MAX_LENGTH)


def requests(num=6, **settings):
    settings = {"temperature": 0.8, "top_p": 1.0, "max_tokens": 20} | settings
    return [Request([7 + n, 8, 9], SamplingParams(**settings, seed=n)) for n in range(num)]


def logprobs(completions):
    return [value for completion in completions for value in completion.logprobs]


@needs_vllm
def test_what_training_draws_does_not_depend_on_what_was_sampled():
    torch.manual_seed(5)
    expected = torch.rand(4)
    torch.manual_seed(5)
    engine().generate(requests())
    assert torch.equal(torch.rand(4), expected)


@needs_vllm
def test_a_call_that_is_broken_off_leaves_nothing_behind():
    def stop(index, completion):
        raise KeyboardInterrupt

    opened = engine()
    expected = opened.generate(requests())
    with pytest.raises(KeyboardInterrupt):
        opened.generate([*requests(), *requests(max_tokens=2)], stop)
    assert opened.generate(requests()) == expected


@needs_vllm
def test_a_new_engine_closes_the_one_before():
    first = engine()
    second = engine(seed=1)
    with pytest.raises(SamplingError, match="was closed when another was opened"):
        first.generate(requests())
    del first
    gc.collect()
    assert len(second.generate(requests())) == 6


@needs_vllm
def test_weights_that_do_not_arrive_are_an_error(monkeypatch):
    opened = engine()
    monkeypatch.setattr(module, "checkpoint_weights", lambda model: {})
    with pytest.raises(SamplingError, match="did not take all weights"):
        opened.load_weights(small_model(1).model.to(DEVICE))


@needs_vllm
def test_adapters_are_sampled_with():
    pytest.importorskip("peft")
    model = small_model(0).model.to(DEVICE)
    asked = requests(temperature=0.0)
    opened = VllmEngine(model, [0], 4, MAX_LENGTH)
    plain = opened.generate(asked)
    add_adapters(model, LoraSettings(rank=2, alpha=4.0))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_()
    opened.load_weights(model)
    adapted = opened.generate(asked)
    expected = Engine(model, [0], 4, MAX_LENGTH).generate(asked)
    assert [c.token_ids for c in adapted] == [c.token_ids for c in expected]
    assert logprobs(adapted) == pytest.approx(logprobs(expected), abs=1e-4)
    assert [c.token_ids for c in plain] != [c.token_ids for c in adapted]


@needs_vllm
@pytest.mark.parametrize("rope", ["short", "long"])
def test_a_pinned_longrope_model_keeps_its_regime(rope):
    model = longrope_model(rope).to(DEVICE)
    asked = requests(max_tokens=60)  # well beyond the length of pre-training
    opened = VllmEngine(model, [0], 4, MAX_LENGTH)
    completions = opened.generate(asked)
    prompts = [
        Request([*r.prompt_ids, *c.token_ids[:-1]], SamplingParams(temperature=0.0, max_tokens=1))
        for r, c in zip(asked, completions, strict=True)
    ]
    expected = Engine(model, [0], 4, MAX_LENGTH).generate(prompts)
    assert logprobs(opened.generate(prompts)) == pytest.approx(logprobs(expected), abs=1e-4)


def longrope_model(rope):
    factors = {"short_factor": [1.0] * 8, "long_factor": [1.0 + n for n in range(8)]}
    config = Phi3Config(
        vocab_size=96,
        hidden_size=64,
        intermediate_size=80,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=128,
        original_max_position_embeddings=32,
        rope_parameters={
            "rope_type": "longrope",
            "rope_theta": 1e4,
            "partial_rotary_factor": 0.5,
            "original_max_position_embeddings": 32,
            **factors,
        },
        tie_word_embeddings=True,
        initializer_range=0.2,
        pad_token_id=0,
    )
    pin_rope(config, rope)
    torch.manual_seed(0)
    model = Phi3ForCausalLM._from_config(config, attn_implementation=ATTENTION).eval()
    share_frequencies(model)
    return model


@needs_vllm
def test_it_is_what_the_recipes_engine_opens():
    settings = SamplerSettings("vllm", max_batch=2, max_length=MAX_LENGTH)
    opened = open_sampler(settings, small_model(0))
    assert isinstance(opened, VllmEngine) and opened.max_length == MAX_LENGTH


def test_where_it_is_not_installed_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(MissingError, match=r"pip install 'minireason\[vllm\]'"):
        VllmEngine(small_model(0).model, [0], 4, MAX_LENGTH)


def test_it_is_refused_beside_a_trainer_with_process_groups(monkeypatch):
    monkeypatch.setattr(module, "_import_vllm", lambda device: None)
    monkeypatch.setattr(module.dist, "is_initialized", lambda: True)
    monkeypatch.setattr(module.dist, "get_world_size", lambda: 2)
    with pytest.raises(SamplingError, match=r"process groups \(2 processes\)"):
        engine()


def test_the_cache_holds_every_sequence_or_what_the_recipe_says(monkeypatch):
    model = small_model(0).model  # 2 layers, one key-value head of 64
    monkeypatch.setattr(module, "_free_bytes", lambda device: 2**40)
    a_token = 2 * 2 * 64 * 4
    assert cache_bytes(model, 10, 1000, "float32") == a_token * 11 * (1000 + 256)
    assert cache_bytes(model, 10, 1000, "bfloat16") == a_token * 11 * (1000 + 256) // 2
    assert cache_bytes(model, 10, 1000, "float32", 0.5) == 2**29
    monkeypatch.setattr(module, "_free_bytes", lambda device: 2**20)
    assert cache_bytes(model, 10, 1000, "float32") == 2**19
