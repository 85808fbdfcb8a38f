"""Loading and saving models: any transformers causal language model, weights as safetensors."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from minireason.errors import MissingError
from minireason.model.attention import ATTENTION
from minireason.model.precision import compute_in_bfloat16
from minireason.model.source import local_folder

# What transformers raises for a folder that is there and cannot be read as a model.
_LOADING_ERRORS = (
    OSError,
    ValueError,
    TypeError,
    RuntimeError,
    SafetensorError,
    StrictDataclassError,
)


@dataclass(frozen=True)
class LanguageModel:
    """A model with its tokenizer, on its device."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase

    @property
    def device(self) -> torch.device:
        return self.model.device


def load_model(base: str, device: str = "cpu", dtype: str = "float32") -> LanguageModel:
    """Load a causal language model and its tokenizer; a hub id is downloaded.

    Weights are float32 whatever the checkpoint's type; `dtype` is what the forward pass computes
    in. Remote code is never run; pickled weights, missing weights and a head that does more than
    multiply by its matrix are refused.
    """
    source = str(local_folder(base) or base)
    transformers.utils.logging.disable_progress_bar()  # one bar is enough: ours
    try:
        tokenizer = AutoTokenizer.from_pretrained(source)
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            source,
            config=_one_rope_regime(AutoConfig.from_pretrained(source)),
            dtype=torch.float32,
            attn_implementation=ATTENTION,
            use_safetensors=True,
            output_loading_info=True,
        )
    except _LOADING_ERRORS as error:
        reason = textwrap.shorten(str(error), 400, placeholder=" ...")
        raise MissingError(f"cannot load the model {base}: {reason}") from error
    model, info = loaded
    if info["missing_keys"]:
        raise MissingError(
            f"the weights of the model {base} are not complete: {len(info['missing_keys'])} are "
            f"missing, {min(info['missing_keys'])} among them; copy or download it again"
        )
    _require_plain_head(model, base)
    model.config.use_cache = False  # a cache in training would switch packing off silently
    model.to(device)
    if dtype == "bfloat16":
        compute_in_bfloat16(model)
    return LanguageModel(model, tokenizer)


def save_model(
    language_model: LanguageModel, folder: Path, weights: dict[str, torch.Tensor] | None = None
) -> None:
    """Save in the Hugging Face layout, so that any other tool loads it.

    `weights` by name stand in for the model's own where those are sharded.
    """
    config: Any = language_model.model.config
    uses_cache, config.use_cache = config.use_cache, True  # others sample with what is saved
    language_model.model.save_pretrained(folder, state_dict=weights, safe_serialization=True)
    config.use_cache = uses_cache
    language_model.tokenizer.save_pretrained(folder)


def _one_rope_regime(config: Any) -> Any:
    """LongRoPE's long factors for every length.

    transformers picks short or long factors by the longest position in the batch, so that a short
    sequence's log-probabilities would change with its neighbours.
    """
    rope = getattr(config, "rope_parameters", None) or {}
    if rope.get("rope_type") == "longrope":
        rope["short_factor"] = list(rope["long_factor"])
    return config


@torch.no_grad()
def _require_plain_head(model: Any, base: str) -> None:
    """Training takes log-probabilities from the hidden states and the head's matrix alone."""
    inputs = {
        "input_ids": torch.tensor([[1, 2]]),
        "attention_mask": torch.ones(1, 1, 2, 2, dtype=torch.bool).tril(),
        "use_cache": False,
    }
    hidden_BTD = model.base_model(**inputs).last_hidden_state
    products_BTV = hidden_BTD @ model.get_output_embeddings().weight.T
    difference = (products_BTV - model(**inputs).logits).abs().max()
    if not difference <= 0.01 * products_BTV.abs().max():
        raise MissingError(
            f"the logits of the model {base} are not plain products of its last hidden states and "
            "its head (they are scaled, capped or biased), which is not supported; give another"
        )


def choose_device(device: str) -> str:
    """`auto` is CUDA if there is one."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise MissingError("run.device is 'cuda' and no CUDA device is here; use 'auto' or 'cpu'")
    return device
