"""Stage 1, distillation as mid-training: next-token training on every verified-correct rollout.

Paper: packed to 16K, batch 128, learning rate 1e-5, 10 % warm-up, 5 epochs, until validation
saturates. The loss is on all tokens, question and response.

1. Packed examples do not see each other. `packing = "split"` lays them end to end and cuts, as
   is common: rows are full, and what a cut parts is two sequences.
2. Saturation is measured on held-out questions: training stops after `patience` measurements
   without improvement and keeps the best weights. The learning rate falls as if it went to the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from minireason.model.chat import Chat
from minireason.recipe import Midtrain
from minireason.records import Example
from minireason.seeding import derive_seed
from minireason.step import Counts, StepContext
from minireason.train.data import PackedData
from minireason.train.objectives.next_token import NextToken
from minireason.train.packing import Packing, Unit
from minireason.train.store import Entry
from minireason.train.validation import Saturation, Validation
from minireason.workbench import (
    conversations,
    fit,
    fitting,
    layout,
    open_learner,
    open_model,
    stored_tokens,
)


def midtrain(step: StepContext) -> Counts:
    """Train the base model on the curated mid-training set."""
    settings = step.recipe.midtrain
    language_model = open_model(step, step.recipe.lora.base_bits)
    chat = Chat(language_model.tokenizer)
    seed = step.recipe.run.seed
    encode = partial(encoded, chat, settings.validation_share, seed)
    tokens = stored_tokens(step, step.inputs["data"] / "midtrain", Example, encode)
    units = fitting(tokens, settings)
    kept, validating = units.take(~units.is_held_out), units.take(units.is_held_out)
    data = PackedData(kept, layout(settings), seed, step.world)
    learner = open_learner(step, language_model, settings.learning_rate)
    validation = watched(validating, settings) if len(validating) else None
    fit(step, learner, language_model, data, NextToken(), validation)
    counts = {"in": len(tokens), "out": len(kept), "dropped: overlong": len(tokens) - len(units)}
    return counts | ({"dropped: held out": len(validating)} if len(validating) else {})


def encoded(chat: Chat, share: float, seed: int, examples: Sequence[Example]) -> Iterator[Entry]:
    """Examples whose every token but the first is a target, and whether they are held out."""
    sequences = conversations(chat, [example.messages for example in examples])
    for example, sequence in zip(examples, sequences, strict=True):
        yield Entry(example.id, [sequence.on_all_tokens()], held_out(example, share, seed))


def held_out(example: Example, share: float, seed: int) -> bool:
    """Whether an example is held out: all examples of a question are, or none."""
    question = "\n".join(message["content"] for message in example.messages[:-1])
    return derive_seed(seed, "held out", question) < share * 2**63


def watched(units: Sequence[Unit], settings: Midtrain) -> Validation:
    """The held-out examples, and when they say that training is over."""
    saturation = Saturation(settings.validate_every, settings.patience, settings.min_delta)
    packing: Packing = "split" if settings.packing == "split" else "best-fit"
    return Validation.of(units, settings.seq_length, settings.micro_batch_size, saturation, packing)
