"""Stage 1, distillation as mid-training: next-token training on every verified-correct rollout.

Paper: packed to 16K, batch 128, learning rate 1e-5, 10 % warm-up, 5 epochs, until validation
saturates. The loss is on all tokens, question and response.

1. Packed examples do not see each other.
"""

from __future__ import annotations

from dataclasses import replace

from minireason.model.chat import Chat
from minireason.records import Example, read_records
from minireason.step import Counts, StepContext
from minireason.train.data import PackedData, within_length
from minireason.train.objectives.next_token import NextToken
from minireason.workbench import conversation, fit, layout, open_model


def midtrain(step: StepContext) -> Counts:
    """Train the base model on the curated mid-training set."""
    settings = step.recipe.midtrain
    language_model = open_model(step)
    chat = Chat(language_model.tokenizer)
    examples = read_records(step.inputs["data"] / "midtrain", Example)
    units = []
    for example in examples:
        sequence = conversation(chat, example.messages)
        units.append([replace(sequence, num_targets=len(sequence.ids) - 1)])
    kept, dropped = within_length(
        units, [e.id for e in examples], settings.seq_length, settings.overlong
    )
    data = PackedData(kept, layout(settings), step.recipe.run.seed)
    fit(step, language_model, data, NextToken(), settings.learning_rate)
    return {"in": len(units), "out": len(kept), "dropped: overlong": dropped}
