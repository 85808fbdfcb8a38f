"""A pinned model rotates alike whatever stands beside a sequence, here and in other tools."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    Phi3Config,
    Phi3ForCausalLM,
    PreTrainedTokenizerFast,
)

from minireason.errors import MissingError
from minireason.model.load import LanguageModel, load_model, save_model
from minireason.model.packed import hidden_states
from minireason.model.rope import pin_rope
from minireason.recipe import Recipe, longest_context
from minireason.rollout.engine import Engine
from minireason.rollout.request import Request
from minireason.rollout.sampling import SamplingParams
from minireason.workbench import open_model

SHORT, LONG = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5], [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]
ORIGINAL = 16
SEQUENCE = [7, 41, 3, 88, 12, 5, 64, 9, 33, 2]


def rope_parameters() -> dict[str, Any]:
    return {
        "rope_type": "longrope",
        "rope_theta": 1e4,
        "partial_rotary_factor": 0.75,
        "short_factor": list(SHORT),
        "long_factor": list(LONG),
    }


@pytest.fixture(scope="module")
def base(tokenizer: PreTrainedTokenizerFast, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("longrope")
    config = Phi3Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        original_max_position_embeddings=ORIGINAL,
        rope_parameters=rope_parameters(),
        initializer_range=0.5,
        pad_token_id=0,
        bos_token_id=0,
        eos_token_id=0,
    )
    torch.manual_seed(0)
    save_model(LanguageModel(Phi3ForCausalLM(config), tokenizer), folder)
    return folder


def chosen(logits_TV: torch.Tensor) -> torch.Tensor:
    """Log-probabilities of SEQUENCE from its logits."""
    targets = torch.tensor(SEQUENCE[1:])[:, None]
    return logits_TV[: len(targets)].log_softmax(-1).gather(-1, targets)[:, 0]


# Beside SEQUENCE stand 40 tokens: one sequence, or pieces of `longest` tokens at most.


@torch.no_grad()
def padded(model: Any, longest: int) -> torch.Tensor:
    """SEQUENCE in a padded row of its own, by the model's own forward."""
    ids, positions = torch.full((2, 40), 5), torch.arange(40).expand(2, -1) % longest
    ids[0, : len(SEQUENCE)] = torch.tensor(SEQUENCE)
    mask = torch.ones(2, 1, 40, 40, dtype=torch.bool).tril()
    out = model(ids, attention_mask=mask, position_ids=positions, use_cache=False)
    return chosen(out.logits[0])


@torch.no_grad()
def packed(model: Any, longest: int) -> torch.Tensor:
    """SEQUENCE in one packed row with the others."""
    length = len(SEQUENCE)
    ids, place = torch.tensor([SEQUENCE + [5] * 40]), torch.arange(40)
    positions = torch.cat([torch.arange(length), place % longest])[None]
    segments = torch.cat([torch.ones(length, dtype=torch.long), 2 + place // longest])[None]
    columns = torch.arange(length)
    hidden = hidden_states(model, ids, positions, segments, torch.zeros_like(columns), columns)
    return chosen(hidden @ model.get_output_embeddings().weight.T)


@pytest.mark.parametrize("rope", ["long", "short"])
@pytest.mark.parametrize("beside", [padded, packed])
def test_a_long_neighbour_changes_a_stock_model_and_no_bit_of_a_pinned_one(
    rope: Any, beside: Any, base: Path
) -> None:
    model = load_model(str(base), rope=rope).model
    assert torch.equal(beside(model, 15), beside(model, 40))
    stock = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    assert (padded(stock, 15) - padded(stock, 40)).abs().max() > 0.1


@pytest.mark.parametrize(("rope", "width"), [("long", 40), ("short", 15)])
def test_each_regime_is_that_of_stock_transformers_at_its_lengths(
    rope: Any, width: int, base: Path
) -> None:
    stock = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    pinned = packed(load_model(str(base), rope=rope).model, 3)
    torch.testing.assert_close(pinned, padded(stock, width), atol=1e-4, rtol=1e-4)
    other = padded(stock, 55 - width)
    assert (pinned - other).abs().max() > 0.1


@pytest.mark.parametrize(("rope", "factors"), [("long", LONG), ("short", SHORT)])
def test_what_is_saved_is_pinned_for_stock_transformers_too(
    rope: Any, factors: list[float], base: Path, tmp_path: Path
) -> None:
    ours = load_model(str(base), rope=rope)
    save_model(ours, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["rope_parameters"]["short_factor"] == factors
    assert config["rope_parameters"]["long_factor"] == factors
    assert config["longrope_regime"] == rope
    stock = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    assert torch.equal(padded(stock, 15), padded(stock, 40))
    torch.testing.assert_close(padded(stock, 40), packed(ours.model, 2), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("rope", ["long", "short"])
def test_sampling_and_scoring_agree_across_the_original_length(rope: Any, base: Path) -> None:
    model = load_model(str(base), rope=rope).model
    params = [SamplingParams(1.0, 1.0, max_tokens=count, seed=count) for count in (3, 30)]
    requests = [Request(SEQUENCE[:4], params[0]), Request(SEQUENCE, params[1])]
    for request, done in zip(requests, Engine(model, [], 2).generate(requests), strict=True):
        ids = torch.tensor([request.prompt_ids + done.token_ids])
        positions = torch.arange(ids.shape[1])
        rows = torch.zeros_like(positions)
        with torch.no_grad():
            hidden = hidden_states(
                model, ids, positions[None], torch.ones_like(ids), rows, positions
            )
        logprobs = (hidden @ model.get_output_embeddings().weight.T).log_softmax(-1)
        scored = logprobs[:-1].gather(-1, ids[0, 1:, None])[-len(done.logprobs) :, 0]
        torch.testing.assert_close(scored, torch.tensor(done.logprobs), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("rope", "context", "expected"),
    [
        ("auto", None, LONG),
        ("auto", ORIGINAL, SHORT),
        ("auto", ORIGINAL + 1, LONG),
        ("short", 64, SHORT),
        ("long", 4, LONG),
    ],
)
def test_the_regime_follows_the_recipe_or_the_longest_context(
    rope: Any, context: int | None, expected: list[float], base: Path
) -> None:
    config = load_model(str(base), rope=rope, context=context).model.config
    assert config.rope_parameters["short_factor"] == expected
    assert config.rope_parameters["long_factor"] == expected


def test_a_pinned_model_stays_in_its_regime_and_refuses_the_other(
    base: Path, tmp_path: Path
) -> None:
    save_model(load_model(str(base), rope="short"), tmp_path)
    for rope, context in (("auto", ORIGINAL), ("short", 64)):
        again = load_model(str(tmp_path), rope=rope, context=context).model.config
        assert again.rope_parameters["long_factor"] == SHORT and again.longrope_regime == "short"
    with pytest.raises(MissingError, match=r"context is 64 .*short LongRoPE factors, for up to 16"):
        load_model(str(tmp_path), context=64)
    with pytest.raises(MissingError, match=r"'long'.*short LongRoPE factors; it holds no others"):
        load_model(str(tmp_path), rope="long")


def test_a_model_without_longrope_is_left_as_it_is() -> None:
    config = LlamaConfig(hidden_size=32, num_attention_heads=2)
    before = config.to_dict()
    pin_rope(config, "short")
    assert config.to_dict() == before


def test_dynamic_frequencies_are_refused_where_they_would_follow_the_batch() -> None:
    rope = {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}
    config = LlamaConfig(max_position_embeddings=64, rope_parameters=rope)
    pin_rope(config, context=64)
    with pytest.raises(MissingError, match=r"context is 65.*change with the batch beyond 64"):
        pin_rope(config, context=65)


def test_factors_of_each_kind_of_layer_are_pinned() -> None:
    long = {"rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0] * 4}
    long |= {"long_factor": [2.0] * 4, "original_max_position_embeddings": 8}
    config = Gemma3TextConfig(
        head_dim=8,
        rope_parameters={
            "full_attention": long,
            "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
        },
    )
    pin_rope(config, "long")
    assert config.rope_parameters["full_attention"]["short_factor"] == [2.0] * 4
    assert "short_factor" not in config.rope_parameters["sliding_attention"]


def test_the_config_survives_a_round_trip(base: Path, tmp_path: Path) -> None:
    config = AutoConfig.from_pretrained(base)
    pin_rope(config, "short")
    config.save_pretrained(tmp_path)
    again = AutoConfig.from_pretrained(tmp_path)
    assert again.longrope_regime == "short" and again.rope_parameters == config.rope_parameters


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ({"rope": "long", "max_length": 8}, LONG),
        ({"max_length": 8}, SHORT),
        ({"max_length": 17}, LONG),
    ],
)
def test_a_stage_opens_its_model_in_the_regime_of_the_recipe(
    model: dict[str, Any], expected: list[float], base: Path
) -> None:
    sections = {"questions": {"limit": 5}, "run": {"stages": ["rlvr"]}, "model": model}
    step: Any = SimpleNamespace(recipe=Recipe.model_validate(sections), inputs={"model": base})
    config = open_model(step).model.config
    assert config.rope_parameters["long_factor"] == expected


def test_the_longest_context_is_of_the_stages_that_run() -> None:
    sections = {
        "questions": {"limit": 5},
        "run": {"stages": ["sft", "rlvr"]},
        "model": {"max_length": 1000},
        "midtrain": {"seq_length": 9000},
        "sft": {"seq_length": 1500},
    }
    assert longest_context(Recipe.model_validate(sections)) == 1500
    sections["model"] = {"max_length": 1600}
    assert longest_context(Recipe.model_validate(sections)) == 1600
