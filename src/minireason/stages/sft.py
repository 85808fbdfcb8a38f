"""Stage 2, supervised fine-tuning on a compact, diverse, hard subset: the model learns when to
stop.

Paper: not packed, 20K, batch 128, learning rate 1e-5. The loss is on the response and on the
token that ends it.

1. Packing may be switched on: packed examples do not see each other, so only the speed changes.
2. The loss may be taken on all tokens, the question's too, as mid-training does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from minireason.model.chat import Chat
from minireason.records import Example, read_records
from minireason.step import Counts, StepContext
from minireason.train.data import PackedData, within_length
from minireason.train.objectives.next_token import NextToken
from minireason.train.packing import Unit
from minireason.workbench import conversation, fit, layout, open_learner, open_model


def sft(step: StepContext) -> Counts:
    """Fine-tune the mid-trained model on the curated SFT set."""
    settings = step.recipe.sft
    language_model = open_model(step, step.recipe.lora.base_bits)
    chat = Chat(language_model.tokenizer)
    examples = read_records(step.inputs["data"] / "sft", Example)
    units = targeted(chat, examples, settings.loss_on)
    fitting, dropped = within_length(
        units, [e.id for e in examples], settings.seq_length, settings.overlong
    )
    kept = [units[i] for i in fitting]
    data = PackedData(kept, layout(settings), step.recipe.run.seed, step.world)
    learner = open_learner(step, language_model, settings.learning_rate)
    fit(step, learner, language_model, data, NextToken())
    return {"in": len(units), "out": len(kept), "dropped: overlong": dropped}


def targeted(chat: Chat, examples: Iterable[Example], loss_on: str) -> list[Unit]:
    """The examples with the response's tokens as targets, or `all` but the first."""
    sequences = [conversation(chat, example.messages) for example in examples]
    if loss_on == "all":
        sequences = [replace(s, num_targets=len(s.ids) - 1) for s in sequences]
    return [[sequence] for sequence in sequences]
