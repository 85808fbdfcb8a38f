"""Small models with seeded random weights, of each family that GGUF is written for."""

import json

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, PreTrainedTokenizerFast

from minireason.model.tiny import CHAT_TEMPLATE, SPECIAL_TOKENS, build_tokenizer
from minireason.problems.facts import tokenizer_corpus

WORDS = "isn't 1234567, WE'LL (say); \\frac{x}{12}\n\n  return naïve ÉCOLE ١٢ क्षमा 数学"

SIZES = {
    "vocab_size": 800,
    "hidden_size": 96,
    "intermediate_size": 160,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": 0,
}

ROTATED = {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.75}
LONGROPE = ROTATED | {
    "rope_type": "longrope",
    "short_factor": [1.0 + 0.02 * i for i in range(6)],
    "long_factor": [1.0 + 0.9 * i for i in range(6)],
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}

FAMILIES = {
    "phi3": {"rope_parameters": ROTATED, "original_max_position_embeddings": 512, "tied": True},
    "longrope": {"rope_parameters": LONGROPE, "original_max_position_embeddings": 64},
    "llama": {"rope_parameters": LLAMA3, "attention_bias": True},
    "qwen2": {"tied": True},
    "qwen3": {"head_dim": 32},
}


def config(family, **changes):
    """The config of a family; `tied` for tied embeddings."""
    values = SIZES | FAMILIES[family] | changes
    values["tie_word_embeddings"] = values.pop("tied", False)
    return CONFIG_MAPPING["phi3" if family == "longrope" else family](**values)


def save(folder, family, *, tokenizer=None, dtype=torch.float32, **changes):
    """Write a model folder and return the model, in evaluation mode.

    The weights are spread so wide that the next token depends on all before it.
    """
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config(family, **changes)).eval()
    for name, weight in model.named_parameters():
        is_norm = "norm" in name
        torch.nn.init.normal_(weight.data, 1.0 if is_norm else 0.0, 0.2 if is_norm else 0.15)
    model.to(dtype).save_pretrained(folder)
    (tokenizer or tiny_tokenizer()).save_pretrained(folder)
    edit(folder / "generation_config.json", eos_token_id=[0, 4])
    return model


def edit(path, **values):
    """Change the top-level values of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def tiny_tokenizer():
    return build_tokenizer(tokenizer_corpus(100, seed=0))


def regex_tokenizer(regex, *, behavior="isolated", invert=False, ignore_merges=False):
    """A byte-level BPE tokenizer that cuts words by a regular expression."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(regex), behavior, invert),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=790,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*tokenizer_corpus(50, seed=0), *[WORDS] * 200], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|endoftext|>",
        eos_token="<|endoftext|>",
        chat_template=CHAT_TEMPLATE,
    )
