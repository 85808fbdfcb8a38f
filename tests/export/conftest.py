"""Small models of any architecture, saved to be exported."""

from pathlib import Path

import pytest
import torch
import transformers

from minireason.model.load import LanguageModel, save_model
from minireason.model.source import TINY_FOLDER
from minireason.model.threads import use_threads

SHAPE = {
    "hidden_size": 192,
    "num_attention_heads": 3,
    "num_key_value_heads": 1,
    "head_dim": 64,
    "num_hidden_layers": 2,
    "intermediate_size": 512,
    "vocab_size": 800,
    "max_position_embeddings": 256,
    "tie_word_embeddings": True,
    "pad_token_id": 0,
    "bos_token_id": 0,
    "eos_token_id": 0,
}
FACTORS = {"short": [1.0 + 0.01 * i for i in range(24)], "long": [1.0 + 0.2 * i for i in range(24)]}


@pytest.fixture(scope="session")
def tiny():
    """The base model that the package carries."""
    return TINY_FOLDER


@pytest.fixture(scope="session")
def saved(tmp_path_factory):
    """Save a model of random weights, large enough that no answer is near another."""
    use_threads(1)
    tokenizer = transformers.AutoTokenizer.from_pretrained(TINY_FOLDER)

    def save(architecture="Phi3ForCausalLM", **changes):
        kind = getattr(transformers, architecture)
        shape = (
            SHAPE | {"original_max_position_embeddings": 256} if "Phi3" in architecture else SHAPE
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = kind(kind.config_class(**(shape | changes)))
            for weight in model.parameters():
                if weight.dim() == 2:
                    weight.data.mul_(3)
                else:  # norms, and biases that would be zero
                    weight.data.add_(0.1 * torch.randn_like(weight))
        folder = Path(tmp_path_factory.mktemp(architecture))
        save_model(LanguageModel(model, tokenizer), folder)
        return folder

    return save


@pytest.fixture(scope="session")
def longrope(saved):
    """Save a Phi-3 of 512 positions that was pre-trained on 64."""

    def save(pinned=None, **rope):
        rope |= {"rope_type": "longrope", "rope_theta": 1e4, "partial_rotary_factor": 0.75}
        rope |= {f"{name}_factor": FACTORS[pinned or name] for name in FACTORS}
        regime = {"longrope_regime": pinned} if pinned else {}
        return saved(
            rope_parameters=rope,
            max_position_embeddings=512,
            original_max_position_embeddings=64,
            **regime,
        )

    return save
