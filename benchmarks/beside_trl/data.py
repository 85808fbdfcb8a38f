"""The models and the tokens that both sides train on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import torch
from transformers import Phi3Config, Phi3ForCausalLM

from beside_trl.setting import BATCH
from minireason.model.attention import ATTENTION
from minireason.model.chat import Chat
from minireason.model.load import LanguageModel, load_model, save_model
from minireason.problems.procedural import generate_questions, worked_solution
from minireason.train.data import Layout, PackedData, Step
from minireason.train.packing import MicroBatch, TokenSequence, Unit
from minireason.workbench import conversation


def shaped(folder: Path, **changes: Any) -> str:
    """A folder with a Phi-3 of random weights: 2.95 million, unless changed."""
    sizes = {
        "vocab_size": 512,
        "hidden_size": 256,
        "intermediate_size": 704,
        "num_hidden_layers": 4,
        "num_attention_heads": 8,
        "num_key_value_heads": 2,
    }
    rope = {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.75}
    config = Phi3Config(
        **sizes | changes,
        max_position_embeddings=1024,
        original_max_position_embeddings=1024,
        rope_parameters=rope,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
    )
    torch.manual_seed(0)
    model = Phi3ForCausalLM._from_config(config, attn_implementation=ATTENTION)
    save_model(LanguageModel(model, load_model("tiny").tokenizer), folder)
    return str(folder)


def examples(base: str, num: int, max_length: int) -> list[Unit]:
    """Worked solutions of the embedded problems; every token but the first is a target.

    Ids beyond a smaller vocabulary are folded into it, which leaves lengths and speed alone.
    """
    return [[_all_targets(s)] for s in _solved(base, num, [True]) if len(s.ids) <= max_length]


def pairs(base: str, num: int, max_length: int) -> list[Unit]:
    """A right and a wrong solution of each problem; the solutions are the targets."""
    both = list(_solved(base, num, [True, False]))
    units = [[both[i], both[i + 1]] for i in range(0, len(both), 2)]
    return [unit for unit in units if max(len(s.ids) for s in unit) <= max_length]


def _solved(base: str, num: int, outcomes: Sequence[bool]) -> Iterator[TokenSequence]:
    language_model, rng = load_model(base), Random(0)
    chat, vocab_size = Chat(language_model.tokenizer), language_model.model.config.vocab_size
    for question in generate_questions(num, 0, "train"):
        for is_correct in outcomes:
            answer = worked_solution(question.id, rng, is_correct=is_correct)
            sequence = conversation(
                chat,
                [
                    {"role": "user", "content": question.text},
                    {"role": "assistant", "content": answer},
                ],
            )
            yield replace(sequence, ids=[i % vocab_size for i in sequence.ids])


def _all_targets(sequence: TokenSequence) -> TokenSequence:
    return sequence.on_all_tokens()


def layout(max_length: int, num_steps: int, *, packing: bool) -> Layout:
    how = "best-fit" if packing else "none"
    return Layout(max_length, BATCH, BATCH, how, epochs=1000, max_steps=num_steps)


def batches(data: PackedData) -> Iterator[Step]:
    return map(data.step, range(data.num_steps))


def sequences(step: Step) -> list[list[int]]:
    """The token ids of a step's sequences, in the order of its rows."""
    batch = only_batch(step)
    ids = batch.ids_BT[batch.segments_BT > 0]
    return [part.tolist() for part in ids.split(batch.lengths)]


def only_batch(step: Step) -> MicroBatch:
    (batch,) = step.updates[0].micro_batches
    return batch
