"""Stage 2, supervised fine-tuning on a compact, diverse, hard subset: the model learns when to
stop.

Paper: not packed, 20K, batch 128, learning rate 1e-5. The loss is on the response and on the
token that ends it.

1. Not packed means `batch_size` examples a step, as in the paper. They are laid end to end for the
   forward pass, so that none waits for the longest: what is computed is what a row for each would
   give, less the padding. Packing may be switched on, which puts more examples into a step.
2. The loss may be taken on all tokens, the question's too, as mid-training does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from minireason.model.chat import Chat
from minireason.records import Example
from minireason.step import Counts, StepContext
from minireason.train.data import PackedData
from minireason.train.objectives.next_token import NextToken
from minireason.train.store import Entry
from minireason.workbench import (
    conversations,
    fit,
    fitting,
    layout,
    open_learner,
    open_model,
    stored_tokens,
)


def sft(step: StepContext) -> Counts:
    """Fine-tune the mid-trained model on the curated SFT set."""
    settings = step.recipe.sft
    language_model = open_model(step, step.recipe.lora.base_bits)
    chat = Chat(language_model.tokenizer)
    encode = partial(encoded, chat, settings.loss_on)
    tokens = stored_tokens(step, step.inputs["data"] / "sft", Example, encode)
    kept = fitting(tokens, settings)
    data = PackedData(kept, layout(settings), step.recipe.run.seed, step.world)
    learner = open_learner(step, language_model, settings.learning_rate)
    fit(step, learner, language_model, data, NextToken())
    return {"in": len(tokens), "out": len(kept), "dropped: overlong": len(tokens) - len(kept)}


def encoded(chat: Chat, loss_on: str, examples: Sequence[Example]) -> Iterator[Entry]:
    """The examples with the response's tokens as targets, or `all` but the first."""
    sequences = conversations(chat, [example.messages for example in examples])
    for example, sequence in zip(examples, sequences, strict=True):
        yield Entry(example.id, [sequence.on_all_tokens() if loss_on == "all" else sequence])
